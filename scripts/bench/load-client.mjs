/**
 * Starts the load in a process of its own.
 * @param processes Processes
 * @param core coreOf
 * @returns runs one job of the load (a method of Load) at a time: `ask(job, what, onTold)`; `onTold` hears what the job says meanwhile
 */
export function startLoad(processes, core) {
  const load = processes.fork('load-process.mjs', [], core);
  return (job, what, onTold = () => undefined) =>
    new Promise((resolve, reject) => {
      load.removeAllListeners();
      load.on('exit', () => reject(new Error('the load ended')));
      load.on('message', (message) => {
        if (message.error) reject(new Error(`${job}: ${message.error}`));
        else if (message.step === undefined) resolve(message.result);
        else onTold(message);
      });
      load.send({ job, ...what });
    });
}
