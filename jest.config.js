// Lanes, fastest first: `npx jest --selectProjects unit`. Source is ESM; tests run it as CommonJS through swc, without module mocks.
const lane = (name) => ({
  displayName: name,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  testEnvironment: 'node',
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } }],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
});

export default {
  // Jest knows no time-out per project. Tests wait for conditions with deadlines of their own; this one ends what hangs, and is longer
  // than those of a cluster that starts on a busy machine: they tell what is missing, this one does not.
  testTimeout: 180_000,
  projects: [lane('unit'), lane('contract'), lane('integration'), lane('cluster'), lane('reliability'), lane('docs')],
};
