// The chain of a stack, as a wallet and a test use it.

import { createPublicClient, createTestClient, encodeFunctionData, http, parseAbi, parseEther } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';

const VAULT = parseAbi([
  'function deposit() payable',
  'function balanceOf(address account) view returns (uint256)',
]);

export class Chain {
  constructor(stack) {
    this.url = stack.is.rpcUrl;
    this.id = stack.is.chainId;
    this.vault = stack.is.vault;
    const chain = {
      id: this.id,
      name: 'anvil',
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [this.url] } },
    };
    this.public = createPublicClient({ chain, transport: http(this.url), pollingInterval: 100 });
    this.test = createTestClient({ chain, mode: 'anvil', transport: http(this.url) });
  }

  /** A fresh account with ether. */
  async newAccount(ether = '100') {
    const account = privateKeyToAccount(generatePrivateKey());
    await this.test.setBalance({ address: account.address, value: parseEther(ether) });
    return account;
  }

  /**
   * Signs and sends a wallet's transaction; gas is the node's where the page named none. `nonce` is the next one, or that of
   * a transaction whose place this one shall take at a `price` times as high.
   */
  async send(account, transaction) {
    const next = () => this.public.getTransactionCount({ address: account.address, blockTag: 'pending' });
    const { to, data, value, gas, nonce = await next(), price = 1n } = transaction;
    const call = { account: account.address, to, data, value: value ? BigInt(value) : undefined };
    const request = {
      ...call,
      account: undefined,
      chainId: this.id,
      type: 'eip1559',
      nonce,
      gas: gas ? BigInt(gas) : ((await this.public.estimateGas(call)) * 12n) / 10n,
      maxFeePerGas: 20_000_000_000n * price,
      maxPriorityFeePerGas: 1_000_000_000n * price,
    };
    return this.public.sendRawTransaction({ serializedTransaction: await account.signTransaction(request) });
  }

  mined(hash) {
    return this.public.waitForTransactionReceipt({ hash, timeout: 30_000 });
  }

  /** Pays into the vault. */
  async deposit(account, ether) {
    const data = encodeFunctionData({ abi: VAULT, functionName: 'deposit' });
    await this.mined(await this.send(account, { to: this.vault, data, value: parseEther(ether) }));
  }

  vaultBalance(account) {
    return this.public.readContract({
      address: this.vault, abi: VAULT, functionName: 'balanceOf', args: [account.address],
    });
  }

  /** Lets so many seconds pass on the chain, for everybody. */
  async passes(seconds) {
    await this.test.increaseTime({ seconds });
    await this.test.mine({ blocks: 1 });
  }

  /** No block comes, for anybody, until the chain goes on. */
  async stops() {
    await this.test.setIntervalMining({ interval: 0 });
  }

  async goesOn() {
    await this.test.mine({ blocks: 1 });
    await this.test.setIntervalMining({ interval: 1 });
  }

  /** Sends as an account whose key nobody here has. */
  async sendAs(address, call) {
    await this.test.impersonateAccount({ address });
    await this.test.setBalance({ address, value: parseEther('1') });
    const hash = await this.rpc('eth_sendTransaction', [{ from: address, ...call }]);
    const { status } = await this.mined(hash);
    if (status !== 'success') throw new Error(`the transaction ${hash} failed`);
  }

  /** One call of JSON-RPC as it is: its result, or an error with code and data. */
  async rpc(method, params = []) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const answer = await fetch(this.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const { result, error } = await answer.json();
    if (error) throw Object.assign(new Error(error.message), { code: error.code, data: error.data });
    return result;
  }
}
