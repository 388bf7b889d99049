// The headers of an answer as the wire brought them: of a dozen two or three are asked for, so none is parsed in advance.

export class ReplyHeaders {
  readonly #raw: readonly Buffer[];

  /** @param raw name, value, name, value … */
  constructor(raw: readonly Buffer[]) {
    this.#raw = raw;
  }

  /** The value, several joined by ', '; undefined if it is not there. @param name lower-case */
  get(name: string): string | undefined {
    const raw = this.#raw;
    let found: string | undefined;
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const own = raw[index] as Buffer;
      if (own.length !== name.length || !isSame(own, name)) continue;
      const value = (raw[index + 1] as Buffer).toString('latin1');
      found = found === undefined ? value : `${found}, ${value}`;
    }
    return found;
  }
}

/** Whether these bytes are the lower-case name, in whatever case. */
function isSame(bytes: Buffer, name: string): boolean {
  for (let index = 0; index < name.length; index += 1) {
    const byte = bytes[index] as number;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    if (lower !== name.charCodeAt(index)) return false;
  }
  return true;
}
