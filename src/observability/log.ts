// The log: one JSON line per event on stdout, readable text in a terminal. Tokens, session ids and arguments never belong in it;
// redaction here is the net for headers that somebody logs by mistake, not a licence to log them.
import { type DestinationStream, type LoggerOptions, type Logger as PinoLogger, pino, symbols } from 'pino';
import pretty from 'pino-pretty';
import { LineWriter } from './line-writer.js';

export type Logger = PinoLogger;

export interface LogSettings {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** `auto`: readable in a terminal, JSON elsewhere. */
  readonly format: 'auto' | 'json' | 'pretty';
  /** Whether stdout is a terminal: decides `auto`, and colours. */
  readonly isTty: boolean;
  /** Index of the worker, 1..n; absent in the primary. */
  readonly worker?: number;
  /** Where lines go instead of stdout; each call gets one whole line. */
  readonly destination?: DestinationStream;
}

const STDOUT = 1;

const SECRET_KEYS = ['authorization', 'cookie', 'set-cookie', 'mcp-session-id', 'proxy-authorization', 'x-api-key'];
const HOLDERS = ['headers', 'req.headers', 'request.headers', 'response.headers'];

/** No wildcards: they would visit every key of every line. */
const redactedPaths = [
  ...SECRET_KEYS.map((key) => `["${key}"]`),
  ...HOLDERS.flatMap((holder) => SECRET_KEYS.map((key) => `${holder}["${key}"]`)),
];

/** Whether lines are for people rather than for programs. */
export const isReadableFormat = (format: LogSettings['format'], isTty: boolean): boolean =>
  format === 'pretty' || (format === 'auto' && isTty);

/** Makes the logger of this process. Lines are buffered, written in the background and flushed when the process exits. */
export function makeLogger(settings: LogSettings): Logger {
  const options: LoggerOptions = {
    level: settings.level,
    base: settings.worker === undefined ? null : { worker: settings.worker },
    redact: redactedPaths,
    formatters: { level: (label) => ({ level: label }) },
    timestamp: makeTimestamp(),
  };
  const destination = settings.destination ?? new LineWriter(STDOUT);
  // A child has a level of its own from its birth on: where the logger's changes, those of its children follow.
  const children = new Set<WeakRef<Logger>>();
  let isFollowing = false;
  options.onChild = (child) => void children.add(new WeakRef(child as Logger));
  const follow = (level: string) => {
    // Children are loggers with the same listeners.
    if (isFollowing) return;
    isFollowing = true;
    for (const ref of children) {
      const child = ref.deref();
      if (child) child.level = level;
      else children.delete(ref);
    }
    isFollowing = false;
  };
  const readable = isReadableFormat(settings.format, settings.isTty);
  const log = pino(options, readable ? prettyStream(destination, settings.isTty) : destination);
  log.on('level-change', follow);
  return log;
}

/** What pino keeps of a logger, under its public symbols. */
interface LoggerParts {
  readonly [symbols.streamSym]: DestinationStream;
  readonly [symbols.timeSym]: () => string;
  /** Members of every line, serialized: `,"worker":1`. */
  readonly [symbols.chindingsSym]: string;
}

/** Members of a line that hold nothing to redact. */
export type PlainFields = Readonly<Record<string, string | number | undefined>>;

/**
 * Writes one kind of line at `info`, to the byte what `log.info(fields, message)` writes for plain fields, for a third of its cost: each
 * request writes one, and pino looks for what could be redacted or serialized in every member of it.
 */
export function makePlainLines(log: Logger, message: string): (fields: PlainFields) => void {
  const parts = log as unknown as LoggerParts;
  const stream = parts[symbols.streamSym];
  const time = parts[symbols.timeSym];
  const bindings = parts[symbols.chindingsSym];
  const end = `,"msg":${JSON.stringify(message)}}\n`;
  return (fields) => {
    if (!log.isLevelEnabled('info')) return;
    let text = `{"level":"info"${time()}${bindings}`;
    for (const name in fields) {
      const value = fields[name];
      if (value !== undefined) text += `,"${name}":${typeof value === 'string' ? quote(value) : value}`;
    }
    stream.write(text + end);
  };
}

/** Nearly every text is as it has to be. */
function quote(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to be escaped
  return /["\\\u0000-\u001f\ud800-\udfff]/.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** The member that pino puts into each line. Lines of one millisecond share their text: to make it costs more than the rest of the line. */
function makeTimestamp(): () => string {
  let atMs = Number.NaN;
  let text = '';
  return () => {
    const nowMs = Date.now();
    if (nowMs !== atMs) {
      atMs = nowMs;
      text = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return text;
  };
}

/** Formats in this process and this tick: a stream or a worker thread would lose the last lines when the process exits. */
function prettyStream(destination: DestinationStream, colorize: boolean): DestinationStream {
  const format = pretty.prettyFactory({
    colorize,
    ignore: 'worker',
    messageFormat: (log, messageKey) => {
      const who = log.worker === undefined ? '' : `[${log.worker}] `;
      return `${who}${String(log[messageKey] ?? '')}`;
    },
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
  });
  return {
    write(line) {
      const text = format(line);
      if (text) destination.write(text);
    },
  };
}
