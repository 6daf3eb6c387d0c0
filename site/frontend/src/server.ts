// How the islands talk to the server: JSON, with the CSRF token; what goes wrong is an Error with words for people.
import { meta } from "./dom";

export async function ask<T>(path: string, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        Accept: "application/json",
        "X-Fragment": "1",
        ...(body === undefined ? {} : { "Content-Type": "application/json", "X-CSRF-Token": meta("csrf-token") }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Error("meshdojo did not answer. Is it still running?");
  }
  const text = await answer.text();
  if (!answer.ok) throw new Error(text || `meshdojo answered ${answer.status}`);
  return (text ? JSON.parse(text) : undefined) as T;
}

export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
