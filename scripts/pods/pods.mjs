// npm run pods: the topology of docker-compose.yml without Docker. Works on a fresh clone, like npm start.
import { checkNode } from '../start-node.mjs';

checkNode();
import('./pods-run.mjs').then((run) => run.pods(process.argv.slice(2)));
