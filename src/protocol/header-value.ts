// What a header may carry: one that it may not fails the request, at every attempt.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export const isHeaderValue = (value: string): boolean => VALUE.test(value);
