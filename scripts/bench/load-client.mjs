/**
 * Starts the load in a process of its own.
 * @param processes Processes
 * @param core coreOf
 * @returns runs one job of the load (a method of Load) at a time: `ask(job, what)`
 */
export function startLoad(processes, core) {
  const load = processes.fork('load-process.mjs', [], core);
  return (job, what) =>
    new Promise((resolve, reject) => {
      load.removeAllListeners();
      load.on('exit', () => reject(new Error('the load ended')));
      load.on('message', ({ result, error }) => (error ? reject(new Error(`${job}: ${error}`)) : resolve(result)));
      load.send({ job, ...what });
    });
}
