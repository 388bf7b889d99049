// The events of a stream, as they come. Only what the gateway and the backend of this folder send.

export class EventReader {
  #rest = '';
  #onEvent;

  /** @param onEvent called with `{ data, retry, id }` */
  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  take(text) {
    const blocks = (this.#rest + text).replaceAll('\r\n', '\n').split('\n\n');
    this.#rest = blocks.pop();
    for (const block of blocks) {
      const fields = block.split('\n');
      const data = fields.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).replace(/^ /, ''));
      const retry = fields.find((line) => line.startsWith('retry:'))?.slice(6);
      const id = fields
        .find((line) => line.startsWith('id:'))
        ?.slice(3)
        .trim();
      this.#onEvent({ data: data.join('\n'), retry: retry === undefined ? undefined : Number(retry), id });
    }
  }
}
