// What becomes of a question to the client, as it is counted, and of an answer of the client.

/**
 * held: until a stream can carry it · asked · undeclared: the client did not say that it can be asked that · nobody: no stream came that
 * could carry it · busy: too many wait · withdrawn: by the backend · unanswered: the client took too long · answered: on its way to the
 * backend · dropped: answered before, withdrawn, or nobody waits any more · unknown: an answer to nothing that this session was asked.
 */
export type QuestionOutcome =
  | 'held'
  | 'asked'
  | 'undeclared'
  | 'nobody'
  | 'busy'
  | 'withdrawn'
  | 'unanswered'
  | 'answered'
  | 'dropped'
  | 'unknown';

/** `delivered`: resolves when the backend has it, or it is lost; `dropped` and `unknown` as above. */
export type AnswerOutcome =
  | { readonly kind: 'delivered'; readonly done: Promise<void> }
  | { readonly kind: 'dropped' }
  | { readonly kind: 'unknown' };
