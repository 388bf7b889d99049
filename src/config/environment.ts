// The one place that reads process.env.

export type Environment = Readonly<Record<string, string | undefined>>;

/** A copy of the environment as it is now. */
export const readEnvironment = (): Environment => Object.freeze({ ...process.env });
