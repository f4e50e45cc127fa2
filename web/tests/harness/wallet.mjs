// A wallet as a page sees it: EIP-6963 announces it, EIP-1193 speaks to it. Keys stay out of the page; what the wallet does
// not answer itself goes to the chain.

const REJECTED = { code: 4001, message: 'User rejected the request.' };
const UNRECOGNIZED_CHAIN = { code: 4902, message: 'Unrecognized chain ID.' };

/** An error as EIP-1193 has it. */
export function walletError({ code, message, data }) {
  return Object.assign(new Error(message), { code, data });
}

export class Wallet {
  /** What a page asked for, in order: method names. */
  asked = [];
  #overrides = new Map();
  #awaited = [];
  #pages = new Set();
  #connected = false;

  constructor(chain, accounts, { name = 'Test Wallet', uuid = crypto.randomUUID(), rdns = 'test.wallet' } = {}) {
    this.chain = chain;
    this.accounts = accounts;
    this.chainId = chain.id;
    this.info = { name, uuid, rdns, icon: ICON };
  }

  get account() {
    return this.accounts[0];
  }

  /** Puts the wallets into every page of a context, before any script of the page's own. */
  static async install(context, wallets) {
    const named = new Map(wallets.map((wallet) => [wallet.info.uuid, wallet]));
    await context.exposeBinding('__askWallet', async (_, uuid, call) => {
      try {
        return { result: await named.get(uuid).#answer(call) };
      } catch ({ code = -32603, message, data }) {
        return { error: { code, message, data } };
      }
    });
    await context.addInitScript(announceWallets, wallets.map((wallet) => wallet.info));
    context.on('page', (page) => {
      for (const wallet of wallets) wallet.#pages.add(page);
      page.on('close', () => wallets.forEach((wallet) => wallet.#pages.delete(page)));
    });
  }

  /** The next calls of a method are answered by `answer(params)`, `times` often. */
  override(method, answer, times = 1) {
    this.#overrides.set(method, { answer, times });
  }

  /** A method is answered honestly again. */
  obeys(method) {
    this.#overrides.delete(method);
  }

  /** Waits until a method was answered. */
  until(method) {
    return new Promise((resolve) => this.#awaited.push({ method, resolve }));
  }

  /** The person says no at the next call of a method. */
  rejects(method) {
    this.override(method, () => {
      throw walletError(REJECTED);
    });
  }

  async switchAccount(account) {
    this.accounts = [account, ...this.accounts.filter((other) => other !== account)];
    await this.emit('accountsChanged', this.accounts.slice(0, 1).map(({ address }) => address));
  }

  async switchChain(chainId) {
    this.chainId = chainId;
    await this.emit('chainChanged', hex(chainId));
  }

  async lock() {
    this.#connected = false;
    await this.emit('accountsChanged', []);
  }

  async emit(event, value) {
    for (const page of this.#pages) {
      await page.evaluate(([uuid, event, value]) => globalThis.__tellPage?.(uuid, event, value), [
        this.info.uuid, event, value,
      ]);
    }
  }

  async #answer({ method, params }) {
    this.asked.push(method);
    const override = this.#overrides.get(method);
    if (override && override.times > 0) {
      override.times -= 1;
      return override.answer(params);
    }
    const answer = await this.#honest(method, params ?? []);
    this.#awaited.filter((wait) => wait.method === method).forEach(({ resolve }) => resolve());
    return answer;
  }

  #honest(method, params) {
    switch (method) {
      case 'eth_requestAccounts':
        this.#connected = true;
        return [this.account.address];
      case 'eth_accounts':
        return this.#connected ? [this.account.address] : [];
      case 'eth_chainId':
        return hex(this.chainId);
      case 'net_version':
        return String(this.chainId);
      case 'wallet_switchEthereumChain':
        return this.#switch(Number(params[0].chainId));
      case 'wallet_revokePermissions':
        this.#connected = false;
        return null;
      case 'personal_sign':
        return this.#key(params[1]).signMessage({ message: { raw: params[0] } });
      case 'eth_signTypedData_v4':
        return this.#key(params[0]).signTypedData(typedData(JSON.parse(params[1])));
      case 'eth_sendTransaction':
        return this.chain.send(this.#key(params[0].from), params[0]);
      default:
        return this.chain.rpc(method, params);
    }
  }

  async #switch(chainId) {
    if (chainId !== this.chain.id) throw walletError(UNRECOGNIZED_CHAIN);
    await this.switchChain(chainId);
    return null;
  }

  #key(address) {
    const account = this.accounts.find((account) => account.address.toLowerCase() === String(address).toLowerCase());
    if (!account) throw walletError({ code: 4100, message: 'The account is not authorized.' });
    return account;
  }
}

/** The domain's type is the library's to write. */
function typedData(data) {
  const types = { ...data.types };
  delete types.EIP712Domain;
  return { ...data, types };
}

function hex(number) {
  return `0x${number.toString(16)}`;
}

const ICON =
  'data:image/svg+xml,%3Csvg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"%3E%3Crect width="32" height="32" rx="8" fill="%23365"/%3E%3C/svg%3E';

/** Runs in the page. */
function announceWallets(infos) {
  const listeners = new Map();
  const of = (uuid, event) => {
    const key = `${uuid} ${event}`;
    if (!listeners.has(key)) listeners.set(key, new Set());
    return listeners.get(key);
  };
  globalThis.__tellPage = (uuid, event, value) => of(uuid, event).forEach((listener) => listener(value));
  const ask = globalThis.__askWallet;
  const providers = infos.map((info) => {
    const provider = {
      async request(call) {
        const { result, error } = await ask(info.uuid, call);
        if (error) throw Object.assign(new Error(error.message), error);
        return result;
      },
      on: (event, listener) => void of(info.uuid, event).add(listener),
      removeListener: (event, listener) => void of(info.uuid, event).delete(listener),
    };
    return Object.freeze({ info: Object.freeze(info), provider });
  });
  const announce = () =>
    providers.forEach((detail) => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail })));
  addEventListener('eip6963:requestProvider', announce);
  announce();
}
