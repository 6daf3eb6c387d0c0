// The script of every page. Each part looks for the elements it serves, and does nothing where there are none.
import { serveCopyButtons } from "./copy";
import { drawDiagrams } from "./diagrams";
import { serveForms } from "./forms";
import { serveGlossary } from "./glossary";
import { serveKeys } from "./keys";
import { listen } from "./live";
import { followOutline } from "./outline";
import { servePopovers } from "./popover";
import { serveSearch } from "./search";
import { serveThemeSwitch } from "./theme";
import { localiseTimes } from "./times";
import { serveWork } from "./work";
import { serveWorkbench } from "./workbench";

serveThemeSwitch();
serveCopyButtons(document);
servePopovers();
serveForms();
localiseTimes(document);
setInterval(() => localiseTimes(document), 30_000);
followOutline();
drawDiagrams(document);
serveWorkbench();
serveWork();
serveGlossary();
serveSearch();
serveKeys();
listen();
