// Every document is followed from its first command to its last, as its reader would: `npm run test:docs`. What cannot be run here is
// listed at the end, with the reason (test/docs/commands.ts).
import { blocksOf, type Command, commandsOf, commandsOfBlock, filesOf } from '../support/documents.js';
import { classify } from './commands.js';
import { Newcomer } from './newcomer.js';

const DOCUMENTS = filesOf('README.md', 'CONTRIBUTING.md', 'docs/*.md', 'examples/*.md').filter(
  (file) => !file.startsWith('docs/adr/') && commandsOf(file).length > 0,
);
const WITHIN_MS = 600_000;
/** Packages are linked; in these the build is part of what is tried. */
const BUILDS = ['docs/quickstart.md'];
/** What the fault hits in the middle of a call may fail it. */
const MAY_FAIL: Readonly<Record<string, number>> = {
  'docs/quickstart.md': 1,
  // Its backend is away for a while.
  'examples/strict-http-backend/README.md': Number.POSITIVE_INFINITY,
};
const given = (text: string): Command => ({ file: 'what the document takes for granted', line: 0, text, prints: [] });
/** For documents that speak of a gateway that runs, and do not start it. */
const GIVEN = [
  given('npm start'),
  given(`node examples/client.mjs http://127.0.0.1:8080/servers/everything-http/mcp echo '{"message":"hello"}' --every 1`),
];

const reports: string[] = [];
afterAll(() => process.stderr.write(`\nNot run here:\n${reports.map((line) => `  ${line}\n`).join('')}`));

it.each(DOCUMENTS)(
  '%s',
  async (file) => {
    const newcomer = new Newcomer();
    try {
      const verdicts = commandsOf(file).map(({ text }) => classify(text));
      if (verdicts.some((verdict) => verdict?.kind !== 'not here')) await newcomer.arrive(!BUILDS.includes(file));
      if (verdicts.some((verdict) => verdict?.kind === 'runs') && !verdicts.some((verdict) => verdict?.kind === 'stays')) {
        for (const command of GIVEN) await newcomer.follow(command);
      }
      for (const block of blocksOf(file)) {
        if (block.language === 'yaml') newcomer.save(block);
        for (const command of commandsOfBlock(block)) await newcomer.follow(command);
      }
      await newcomer.endCallers();
      expect(newcomer.failedCalls).toBeLessThanOrEqual(MAY_FAIL[file] ?? 0);
    } finally {
      for (const { command, why } of newcomer.notHere) reports.push(`${file}:${command.line}  ${command.text}  (${why})`);
      await newcomer.leave();
    }
  },
  WITHIN_MS,
);
