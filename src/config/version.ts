// The version of the package; a test holds it to package.json. (A file read at run time would be found by luck: through npx,
// links and bundles the path of the entry says little.)
export const VERSION = '0.1.0';
