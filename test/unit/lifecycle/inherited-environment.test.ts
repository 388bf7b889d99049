import { inheritedEnvironment } from '../../../src/lifecycle/inherited-environment.js';

const INHERITED = [
  ...['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'all_proxy'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'],
  ...['npm_config_cache', 'NPM_CONFIG_CACHE', 'npm_config_prefer_offline', 'npm_config_offline'],
];
const KEPT_BACK = [
  ...['BERTH_SECRET', 'BERTH_ADMIN_TOKEN', 'BERTH_REDIS_URL', 'REDIS_URL', 'REDIS_PASSWORD', 'AWS_SECRET_ACCESS_KEY'],
  ...[
    'NODE_OPTIONS',
    'NODE_CHANNEL_FD',
    'NODE_UNIQUE_ID',
    'LD_PRELOAD',
    'DYLD_INSERT_LIBRARIES',
    'npm_config__authToken',
    'home',
  ],
];

test.each(INHERITED)('a child has %s of the gateway', (name) => {
  expect(inheritedEnvironment({ [name]: 'x' })).toEqual({ [name]: 'x' });
});

test.each(KEPT_BACK)('a child has no %s', (name) => {
  expect(inheritedEnvironment({ [name]: 'x' })).toEqual({});
});

test('a function that a shell exported is code, not a setting', () => {
  expect(inheritedEnvironment({ SHELL: '() { :; }', HOME: undefined })).toEqual({});
});
