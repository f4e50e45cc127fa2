// The native forge: the package's launcher loses the exit code. FORGE names another.
const system = process.platform === 'darwin' ? 'darwin' : 'linux';
const machine = process.arch === 'arm64' ? 'arm64' : 'amd64';
export const forge = process.env.FORGE ?? `lib/node_modules/@foundry-rs/forge-${system}-${machine}/bin/forge`;
