// The relayer's interface, for what a test needs to be there before the page opens.

/** Signs an account in, for a session apart from the page's. */
export async function signIn(world, account) {
  const api = new Api(world.stack.is.relayerUrl);
  const { chainId, domains } = await api.call('GET', '/v1/config');
  const { nonce } = await api.call('GET', '/v1/auth/nonce');
  const message = `${domains[0].domain} wants you to sign in with your Ethereum account:
${account.address}

Sign in to receive one-time codes.

URI: ${domains[0].uri}
Version: 1
Chain ID: ${chainId}
Nonce: ${nonce}
Issued At: ${new Date().toISOString()}`;
  const signature = await account.signMessage({ message });
  const { token } = await api.call('POST', '/v1/auth/login', { message, signature });
  api.token = token;
  return api;
}

export class Api {
  token;

  constructor(base) {
    this.base = base;
  }

  /** Asks for a code. */
  ask(request) {
    return this.call('POST', '/v1/otps', request, { 'idempotency-key': crypto.randomUUID() });
  }

  async call(method, path, body, headers = {}) {
    const answer = await fetch(new URL(path, this.base), {
      method,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${text.slice(0, 300)}`);
    return text ? JSON.parse(text) : undefined;
  }
}

/** An account with a confirmed mailbox. */
export async function withMailbox(world, person) {
  const api = await signIn(world, person.account);
  const { contactId } = await api.call('POST', '/v1/contacts', { channel: 'email', address: person.email });
  const digits = await world.mailbox.confirmation(person.email);
  await api.call('POST', `/v1/contacts/${contactId}/confirm`, { digits });
  return contactId;
}
