// The official suite: where its runner comes from, how it is run, and what it found. It leaves a file of checks for every scenario
// that ended; one that is missing threw or hung, which counts as failed.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';

/** Pinned: a newer suite asks for other things. It needs a newer Node than the gateway does; npm brings one. */
const PACKAGES = ['-p', 'node@24', '-p', '@modelcontextprotocol/conformance@0.2.0-alpha.12'];
const REVISION = '2025-11-25';
/** Those that judge what a gateway does with a backend; the other client scenarios are about OAuth. */
export const CLIENT_SCENARIOS = ['initialize', 'tools_call', 'sse-retry', 'elicitation-sep1034-client-defaults'];
const OBTAIN_MS = 120_000;
const ATTEMPTS = 2;
/** Of a scenario of a second; and of all of them, if several hang. */
const SCENARIO_MS = 20_000;
const SERVER_RUN_MS = 120_000;
const CLIENT_RUN_MS = 60_000;
/** Of one client run: what the suite itself waits for the client. */
const CLIENT_MS = 45_000;

export class Suite {
  #node;
  #program;
  #requirements;

  /** Obtains the runner from npx's cache, or from the registry (about 100 MB). @throws Error that says what to do */
  obtain() {
    for (let attempt = 1; !this.#node; attempt++) {
      try {
        // Its own paths, asked once: npx takes seconds each time.
        const script = 'command -v node && command -v conformance';
        const said = execFileSync('npx', ['-y', ...PACKAGES, '-c', script], {
          encoding: 'utf8',
          timeout: OBTAIN_MS,
          stdio: 'pipe',
        });
        [this.#node, this.#program] = said
          .trim()
          .split('\n')
          .slice(-2)
          .map((path) => realpathSync(path));
      } catch (error) {
        if (attempt < ATTEMPTS) continue;
        // npm begins with what went wrong; of a time-out it says nothing.
        const told = String(error.stderr)
          .split('\n')
          .filter((line) => line.startsWith('npm error'));
        const reason = told.slice(0, 4).join('\n') || error.message;
        const message =
          'the conformance suite could not be obtained. It comes from the npm registry and needs the network the first time';
        throw Object.assign(new Error(`${message}:\n${reason}`), { exitCode: 69 });
      }
    }
    const file = join(dirname(this.#program), '..', 'requirements', `${REVISION}.yaml`);
    this.#requirements = parse(readFileSync(file, 'utf8'));
  }

  /** @returns names, in the order of the suite, and which of them count */
  serverScenarios() {
    const { server, not_scored: others } = this.#requirements;
    const unscored = others.filter(({ leg }) => leg === 'server').map(({ scenario }) => scenario);
    return { names: [...server, ...unscored], scored: new Set(server) };
  }

  /** @param scenario one alone; default all of the revision. @returns by scenario: see readResult */
  async runServer(url, out, scenario) {
    const which = scenario ? ['--scenario', scenario, '--spec-version', REVISION] : ['--requirements', REVISION];
    const said = await this.#run(
      ['server', '--url', url, ...which, '--timeout', String(SCENARIO_MS), '-o', out],
      out,
      SERVER_RUN_MS,
    );
    const names = scenario ? [scenario] : this.serverScenarios().names;
    return Object.fromEntries(names.map((name) => [name, readResult(out, `server-${name}`, said)]));
  }

  /** @param command gets the URL of the suite's server as its last argument. @returns see readResult */
  async runClient(scenario, command, out) {
    const options = ['--command', command, '--scenario', scenario, '--spec-version', REVISION, '--timeout', String(CLIENT_MS)];
    const said = await this.#run(['client', ...options, '-o', out], out, CLIENT_RUN_MS);
    const result = readResult(out, scenario, said);
    if (said.code === 0 || result.failed > 0) return result;
    // Its client failed, or was too slow, although every check that was made passed.
    return { ...result, failed: 1, messages: [said.tail] };
  }

  #run(args, out, withinMs) {
    mkdirSync(out, { recursive: true });
    return new Promise((resolve, reject) => {
      const child = spawn(this.#node, [this.#program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      const endGroup = () => {
        try {
          process.kill(-child.pid, 'SIGKILL');
        } catch (error) {
          if (error.code !== 'ESRCH') throw error;
        }
      };
      const force = setTimeout(endGroup, withinMs);
      // A Ctrl-C ends us alone: it has a group of its own.
      process.once('exit', endGroup);
      let tail = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part) => {
          tail = (tail + part).slice(-2000);
        });
      }
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(force);
        process.removeListener('exit', endGroup);
        resolve({ code, tail });
      });
    });
  }
}

/**
 * @param name of its folder in `out`, which has the time behind it
 * @returns `{ passed, failed, messages }`: checks that passed and failed; warnings and notes are neither
 */
export function readResult(out, name, { code, tail }) {
  const folder = readdirSync(out).find((one) => one.startsWith(`${name}-2`));
  let checks;
  try {
    checks = JSON.parse(readFileSync(join(out, folder ?? '', 'checks.json'), 'utf8'));
  } catch {
    return { passed: 0, failed: 1, messages: [`no result (exit code ${code}): ${tail}`] };
  }
  const failures = checks.filter(({ status }) => status === 'FAILURE');
  const passed = checks.filter(({ status }) => status === 'SUCCESS').length;
  const nothing = checks.length === 0 ? ['nothing was checked'] : [];
  const messages = [...failures.map(({ id, errorMessage }) => `${id}: ${errorMessage}`), ...nothing];
  return { passed, failed: messages.length, messages };
}
