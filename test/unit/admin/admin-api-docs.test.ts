// docs/admin-api.md names every path, every error and every action that is written down.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADMIN_ERRORS } from '../../../src/admin/admin-error.js';
import { API_ROUTES, POD_ROUTE } from '../../../src/admin/api-routes.js';

const page = readFileSync(join(__dirname, '../../../docs/admin-api.md'), 'utf8');

test.each(
  [POD_ROUTE, ...API_ROUTES].map(({ method, path }) => [
    method.toUpperCase(),
    path.replace('sessions/:id', 'sessions/<ref>').replace(':id', '<id>'),
  ]),
)('%s %s', (method, path) => expect(page).toContain(`\`${method} ${path}`));

test.each(Object.entries(ADMIN_ERRORS))('%s', (code, [status]) => {
  const row = page.split('\n').find((line) => line.startsWith(`| ${status}`));
  expect(row).toContain(`\`${code}\``);
});

test.each(API_ROUTES.flatMap(({ audit }) => audit ?? []))('%s', (action) => expect(page).toContain(`\`${action}\``));
