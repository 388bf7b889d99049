// npm run demo:chaos: half a minute in which one session outlives worker after worker. Works on a fresh clone, like npm start.
import { checkNode } from '../start-node.mjs';

checkNode();
import('./demo-run.mjs').then((run) => run.demo());
