// What a caller may hear of a child that failed: a reason of a closed list; never a path, an argument, or what it printed.
import { GatewayError } from '../../errors/gateway-error.js';

export type ChildFailure =
  | 'command_not_found'
  | 'command_not_executable'
  | 'spawn_failed'
  | 'exited'
  | 'line_too_long'
  | 'stdin_closed'
  | 'initialize_refused'
  | 'unsupported_version'
  | 'bad_reply'
  | 'busy'
  | 'removed';

/** Why a command could not be started. */
export function spawnFailure(error: unknown): ChildFailure {
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case 'ENOENT':
      return 'command_not_found';
    case 'EACCES':
    case 'ENOEXEC':
    case 'EPERM':
      return 'command_not_executable';
    default:
      return 'spawn_failed';
  }
}

/** The call was not executed. */
export function unavailable(
  backend: string,
  reason: ChildFailure,
  more: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
) {
  return new GatewayError('BACKEND_UNAVAILABLE', { message: reason, details: { backend, reason, ...more }, cause });
}

/** The call was written and its answer did not come. */
export function outcomeUnknown(backend: string, reason: ChildFailure) {
  return new GatewayError('OUTCOME_UNKNOWN', { message: reason, details: { backend, reason } });
}

export function timedOut(backend: string, more: Readonly<Record<string, unknown>> = {}) {
  return new GatewayError('BACKEND_TIMEOUT', { details: { backend, reason: 'timeout', ...more } });
}
