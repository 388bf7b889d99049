// Refuses a Node that is too old, in words. No newer syntax in here.

export function checkNode() {
  const found = process.versions.node.split('.').map(Number);
  const least = [20, 18, 1];
  for (let i = 0; i < 3; i++) {
    if (found[i] > least[i]) return;
    if (found[i] < least[i]) {
      process.stderr.write(
        'Berth needs Node 20.18.1 or newer; this is ' +
          process.versions.node +
          ' (' +
          process.execPath +
          ').\nInstall a current Node (https://nodejs.org), for example with `nvm install 24`, and try again.\n',
      );
      process.exit(1);
    }
  }
}
