"""What a learner has done is kept, once, and for each on their own."""

from __future__ import annotations

import asyncio
import json

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from meshdojo.web.database import Database, migrate, open_engine
from meshdojo.web.models import LOCAL_LEARNER, Attempt
from meshdojo.web.progress import Answer, LabProgress, Progress, Verdict

pytestmark = pytest.mark.anyio


async def test_the_first_pass_counts_and_is_never_taken_back(database: Database) -> None:
    progress = Progress(database)
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("fail", "not yet"))
    assert (await progress.lab(LOCAL_LEARNER, "canary")).passed_at == {}
    first = await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("fail", "no longer"))
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    assert (await progress.lab(LOCAL_LEARNER, "canary")).passed_at == {"dark": first}
    assert (await progress.course(LOCAL_LEARNER))["canary"].passed(["dark", "gone"]) == 1


async def test_every_attempt_is_kept_whole(database: Database) -> None:
    verdict = Verdict("fail", "The canary gets nothing.", "0 of 400", "about 40", "Weights?", 0.25)
    await Progress(database).record(LOCAL_LEARNER, "canary", "tenth", verdict)
    async with database.reading() as connection:
        row = (await connection.execute(select(Attempt))).one()
    kept = (row.lab, row.task, row.outcome, row.reason, row.saw, row.expected, row.seconds)
    assert kept == ("canary", "tenth", "fail", "The canary gets nothing.", "0 of 400", "about 40", 0.25)


async def test_attempts_that_come_together_all_arrive(database: Database) -> None:
    progress = Progress(database)
    await asyncio.gather(*(progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass")) for _ in range(40)))
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(Attempt)) == 40
    assert len((await progress.lab(LOCAL_LEARNER, "canary")).passed_at) == 1


async def test_hints_open_one_by_one_up_to_the_last(database: Database) -> None:
    progress = Progress(database)
    opened = [await progress.open_hint(LOCAL_LEARNER, "canary", "dark", 2) for _ in range(3)]
    assert opened == [1, 2, 2]
    assert await progress.open_hint(LOCAL_LEARNER, "canary", "bare", 0) == 0
    assert (await progress.lab(LOCAL_LEARNER, "canary")).hints == {"dark": 2}


async def test_the_last_answer_stands(database: Database) -> None:
    progress = Progress(database)
    await progress.answer(LOCAL_LEARNER, "canary", "why", Answer((0, 2), False))
    await progress.answer(LOCAL_LEARNER, "canary", "why", Answer((1,), True))
    assert (await progress.lab(LOCAL_LEARNER, "canary")).answers == {"why": Answer((1,), True)}


async def test_labs_do_not_mix_and_strangers_have_none(database: Database) -> None:
    progress = Progress(database)
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    assert await progress.lab(LOCAL_LEARNER, "mtls") == LabProgress()
    assert await progress.course(2) == {}
    with pytest.raises(IntegrityError):
        await progress.record(2, "canary", "dark", Verdict("pass"))


async def test_progress_survives_a_new_engine(database: Database, database_url: str) -> None:
    at = await Progress(database).record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    await database.engine.dispose()
    again = open_engine(database_url)
    await migrate(again)
    assert (await Progress(Database(again)).lab(LOCAL_LEARNER, "canary")).passed_at == {"dark": at}
    await again.dispose()


async def test_a_standing_says_since_when_a_task_fails_and_how_often_it_was_tried(database: Database) -> None:
    progress = Progress(database)
    first = await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("fail", "no subset"))
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("error", "no cluster"))
    standing = (await progress.standing(LOCAL_LEARNER, "canary"))["dark"]
    assert (standing.failing_since, standing.tries, standing.verdict.reason) == (first, 2, "no cluster")
    assert standing.passed_at is None
    passed = await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass", saw="41 of 400", seconds=0.5))
    standing = (await progress.standing(LOCAL_LEARNER, "canary"))["dark"]
    assert (standing.failing_since, standing.passed_at, standing.tries) == (None, passed, 3)
    assert standing.verdict == Verdict("pass", saw="41 of 400", seconds=0.5)
    again = await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("fail", "no longer"))
    standing = (await progress.standing(LOCAL_LEARNER, "canary"))["dark"]
    assert (standing.failing_since, standing.passed_at) == (again, passed)


async def test_a_learner_takes_their_data_along_and_has_it_deleted(database: Database) -> None:
    progress = Progress(database)
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("fail", "no subset", "0 of 400", seconds=0.5))
    await progress.open_hint(LOCAL_LEARNER, "canary", "dark", 3)
    await progress.answer(LOCAL_LEARNER, "canary", "why", Answer((1,), True))
    kept = json.loads(json.dumps(await progress.export(LOCAL_LEARNER)))
    assert [(row["task"], row["outcome"], row["reason"]) for row in kept["attempt"]] == [("dark", "fail", "no subset")]
    assert [row["number"] for row in kept["hint_opened"]] == [1]
    assert [row["choices"] for row in kept["quiz_answer"]] == ["1"]
    await progress.forget(LOCAL_LEARNER)
    assert all(rows == [] for rows in (await progress.export(LOCAL_LEARNER)).values())
