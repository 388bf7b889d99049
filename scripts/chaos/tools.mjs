// The tools of both backends. Every result begins with the tag of the backend session and the nonce of the call, so that a crossed,
// altered or repeated answer cannot be missed.

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

export const TOOLS = ['echo', 'counter', 'slow', 'progress'].map((name) => ({
  name,
  description: `chaos: ${name}`,
  inputSchema: { type: 'object' },
}));

/**
 * @param session `{ tag, count }`; count is raised here
 * @param emit sends a notification before the result
 * @returns the text of the result
 */
export async function runTool({ name, arguments: args, _meta }, session, emit) {
  const said = (rest) => `${session.tag} ${args.nonce} ${rest}`;
  switch (name) {
    case 'echo':
      return said(args.text);
    case 'counter':
      session.count += 1;
      return said(session.count);
    case 'slow':
      await sleep(args.ms);
      return said('slept');
    case 'progress':
      for (let progress = 1; progress <= args.steps; progress += 1) {
        emit('notifications/progress', { progressToken: _meta?.progressToken, progress, message: args.nonce });
        await sleep(args.ms);
      }
      return said('done');
    default:
      return undefined;
  }
}
