// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// References that clients know besides variables of the environment: `${input:id}`, `${workspaceFolder}`, `${userHome}`, `${file:…}`.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, resolve, sep } from 'node:path';
import type { Input } from './client-inputs.js';
import type { Environment } from './environment.js';
import type { Fail } from './interpolate.js';
import { nearest } from './suggest.js';

export interface ReferenceContext {
  readonly inputs: ReadonlyMap<string, Input>;
  /** Absolute path of the configuration file; undefined: there is none. */
  readonly file: string | undefined;
  readonly env: Environment;
  readonly cwd: string;
}

export class ClientReferences {
  /** Values that must be shown nowhere. */
  readonly secrets = new Set<string>();
  readonly warnings: string[] = [];
  readonly #context: ReferenceContext;

  constructor(context: ReferenceContext) {
    this.#context = context;
  }

  /**
   * @param inner what stands between the braces
   * @param variables takes the names of those that were looked at
   * @returns undefined: none of these
   */
  resolve(inner: string, variables: Set<string>, fail: Fail): string | undefined {
    const [, kind, rest = ''] = /^(input|promptString|file):([\s\S]*)$/.exec(inner) ?? [];
    if (kind === 'file') {
      const text = this.#readFile(rest, this.#directory(), fail);
      if (text) this.secrets.add(text);
      return text;
    }
    if (kind !== undefined) return this.#input(rest, variables, fail);
    if (inner === 'workspaceFolder' || inner === 'workspaceRoot') return this.#workspace();
    if (inner === 'workspaceFolderBasename') return basename(this.#workspace());
    if (inner === 'userHome') return this.#context.env.HOME || this.#context.env.USERPROFILE || homedir();
    return inner === 'pathSeparator' || inner === '/' ? sep : undefined;
  }

  #input(id: string, variables: Set<string>, fail: Fail): string {
    const { inputs, env } = this.#context;
    const input = inputs.get(id);
    if (!input) {
      const near = nearest(id, inputs.keys());
      return fail(
        `there is no input "${id}"`,
        near
          ? `Did you mean "${near}"?`
          : `Add { id: "${id}", type: "promptString" } to inputs, or write \${NAME} for an environment variable.`,
      );
    }
    const { variable } = input;
    variables.add(variable).add(`${variable}_FILE`);
    const named = env[variable] ? undefined : env[`${variable}_FILE`];
    const value = env[variable] || (named ? this.#readFile(named, this.#context.cwd, fail) : input.fallback);
    if (value === undefined) {
      const what = input.description === undefined ? `"${id}"` : `"${id}" (${input.description})`;
      const choice = input.options ? `, to one of: ${input.options.join(', ')}` : '';
      return fail(
        `the input ${what} has no value; a gateway has nobody to ask`,
        `Set the environment variable ${variable}${choice}; or ${variable}_FILE to the path of a file that holds it.`,
      );
    }
    // What is wrong with the file was told.
    if (named && !value) return '';
    if (input.options && !input.options.includes(value)) {
      return fail(`${variable} is none of the choices of input "${id}"`, `They are: ${input.options.join(', ')}.`);
    }
    if (input.isSecret && value) this.secrets.add(value);
    if (!env[variable] && !named) {
      const shown = input.isSecret ? '' : ` "${value}"`;
      this.#warn(`input "${id}": its default${shown} is taken; ${variable} would set it`);
    }
    return value;
  }

  /** @returns '' after `fail` */
  #readFile(path: string, directory: string, fail: Fail): string {
    const home = this.#context.env.HOME || homedir();
    const file = resolve(
      directory,
      path.replace(/^~(?=\/|$)/, () => home),
    );
    try {
      const text = readFileSync(file, 'utf8').replace(/[\r\n]+$/, '');
      return text || fail(`the file ${file} is empty`, 'Write the value into it.');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      return fail(`the file ${file} cannot be read (${code})`, 'Check the path and its permissions.');
    }
  }

  #directory(): string {
    return this.#context.file === undefined ? this.#context.cwd : dirname(this.#context.file);
  }

  /** The directory of the file; of `.vscode/mcp.json` and `.cursor/mcp.json` the one above, as for their editors. */
  #workspace(): string {
    const directory = this.#directory();
    const folder = ['.vscode', '.cursor'].includes(basename(directory)) ? dirname(directory) : directory;
    this.#warn(`\${workspaceFolder} stands for ${folder}`);
    return folder;
  }

  #warn(text: string): void {
    if (!this.warnings.includes(text)) this.warnings.push(text);
  }
}
