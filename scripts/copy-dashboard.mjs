// The rest of the build: the files of the dashboard go into dist as they are. Plain Node: the image builds with nothing else of scripts/.
import { cpSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

export function copyDashboard() {
  const built = join(root, 'dist', 'admin', 'dashboard');
  // A file that was removed must not live on in a package.
  rmSync(built, { recursive: true, force: true });
  cpSync(join(root, 'src', 'admin', 'dashboard'), built, { recursive: true });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) copyDashboard();
