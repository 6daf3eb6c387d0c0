// Runs before the first paint: how the panes were left. Classic and tiny, because the page waits for it.
import { apply, load } from "./layout";

apply(load());
