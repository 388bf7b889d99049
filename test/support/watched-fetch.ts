// The platform's fetch, which writes down what a client asked and what it was answered.

export interface Exchange {
  readonly method: string;
  /** JSON-RPC method of a POST. */
  readonly rpcMethod: string | undefined;
  readonly lastEventId: string | undefined;
  readonly atMs: number;
  /** Undefined while nothing came. */
  status: number | undefined;
  /** What fetch threw instead of a response. */
  error: string | undefined;
}

export function watchFetch(): { readonly fetch: typeof fetch; readonly exchanges: Exchange[] } {
  const exchanges: Exchange[] = [];
  return {
    exchanges,
    async fetch(url, init) {
      const exchange: Exchange = {
        method: init?.method ?? 'GET',
        rpcMethod: typeof init?.body === 'string' ? (JSON.parse(init.body) as { method?: string }).method : undefined,
        lastEventId: new Headers(init?.headers).get('last-event-id') ?? undefined,
        atMs: performance.now(),
        status: undefined,
        error: undefined,
      };
      exchanges.push(exchange);
      try {
        const response = await fetch(url, init);
        exchange.status = response.status;
        return response;
      } catch (error) {
        exchange.error = `${String(error)} ${String((error as Error).cause ?? '')}`;
        throw error;
      }
    },
  };
}
