// npm test: install, build, obtain Redis, check, run every lane. `--lane unit` (may be repeated) runs those lanes alone.
// The version check must be able to speak on an old Node: the work is in test-run.mjs.
import { checkNode } from './start-node.mjs';

checkNode();
import('./test-run.mjs').then((run) => run.test(process.argv.slice(2)));
