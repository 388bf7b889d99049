// Finds a Chromium, installs one with apt where it may, else says what to run. As a program: `node scripts/obtain-browser.mjs` prints the
// path, or exits with 69.
import { pathToFileURL } from 'node:url';
import { obtainProgram } from './obtain-program.mjs';

const NAMES = ['chromium', 'google-chrome-stable'];

const HELP = `There is no Chromium here, which the tests of the dashboard drive. Install it:

  Debian           sudo apt-get update && sudo apt-get install -y chromium
  Fedora           sudo dnf install -y chromium

or name one that is there:

  BERTH_BROWSER=/path/to/chrome npm run test:browser
`;

/** @throws Error with exitCode 69 and a message that says what to run */
export const obtainBrowser = () => process.env.BERTH_BROWSER || obtainProgram(NAMES, HELP);

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    process.stdout.write(`${obtainBrowser()}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode ?? 1;
  }
}
