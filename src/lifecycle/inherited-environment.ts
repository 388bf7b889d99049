// What a process that we start finds in its environment: enough to find its files, its language and the way out.
// Nothing else is inherited: the gateway's environment holds its secret, its tokens and the address of its Redis.

const INHERITED = new Set([
  ...['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'all_proxy'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'],
]);
const LOCALE = /^LC_[A-Z]+$/;
/** npm takes its settings in either case. */
const NPM_CACHE = /^npm_config_(cache|prefer_offline|offline)$/i;

function isInherited(name: string): boolean {
  return INHERITED.has(name) || LOCALE.test(name) || NPM_CACHE.test(name);
}

/** What children may have of the gateway's environment: never BERTH_*, REDIS_URL or anything else of ours. */
export function inheritedEnvironment(gateway: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(gateway)) {
    // "()" begins a function that a shell exported: code, not a setting.
    if (value !== undefined && isInherited(name) && !value.startsWith('()')) environment[name] = value;
  }
  return environment;
}
