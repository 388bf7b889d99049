// npm start: everything from a fresh clone to a running gateway. This file uses no syntax that an old Node cannot read, so
// that the version check can speak; the work is in start-run.mjs.
import { checkNode } from './start-node.mjs';

checkNode();
import('./start-run.mjs').then((run) => run.start(process.argv.slice(2)));
