// The load as a process: runs one job per message `{ job, ...what }` of its parent, and ends with it.
import { Load } from './load.mjs';

const load = new Load();
process.on('message', ({ job, ...what }) => {
  load[job](what).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: String(error?.stack ?? error) }),
  );
});
process.on('disconnect', () => process.exit(0));
