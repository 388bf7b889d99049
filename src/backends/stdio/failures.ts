// What a caller may hear of a child that failed: a reason of a closed list; never a path, an argument, or what it printed.

export type ChildFailure =
  | 'command_not_found'
  | 'command_not_executable'
  | 'spawn_failed'
  | 'exited'
  | 'line_too_long'
  | 'stdin_closed';

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
