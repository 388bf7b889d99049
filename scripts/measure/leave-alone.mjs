// Loaded into the workers of a pod (`--import`): on SIGUSR2 this one drains and ends, as if its primary had told it to. A primary tells all
// of its workers at once; how connections fare when one of several leaves in order can be seen only so.
process.on('SIGUSR2', () => process.emit('message', { kind: 'drain' }, undefined));
