// Passkeys and security keys (WebAuthn Level 3): the button of a page, and the autofill of a name.
// The credential goes as JSON into the field `credential`; nothing else leaves this page.

const credentials = window.PublicKeyCredential;
let waiting = null; // what asks the browser at the moment

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(Array.from(new Uint8Array(buffer), (b) => String.fromCharCode(b)).join(''))
    .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

// For browsers without parseCreationOptionsFromJSON, parseRequestOptionsFromJSON and toJSON.
function parsed(kind, options) {
  const own = kind === 'create' ? 'parseCreationOptionsFromJSON' : 'parseRequestOptionsFromJSON';
  if (credentials[own]) return credentials[own](options);
  const named = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
  const shared = { ...options, challenge: bytes(options.challenge) };
  if (kind === 'get') return { ...shared, allowCredentials: named(options.allowCredentials) };
  return {
    ...shared,
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: named(options.excludeCredentials),
  };
}

function plain(credential) {
  if (credential.toJSON) return credential.toJSON();
  const { response } = credential;
  const answer = { clientDataJSON: text(response.clientDataJSON) };
  if (response.attestationObject) {
    answer.attestationObject = text(response.attestationObject);
    answer.transports = response.getTransports?.() ?? [];
  } else {
    answer.authenticatorData = text(response.authenticatorData);
    answer.signature = text(response.signature);
    if (response.userHandle) answer.userHandle = text(response.userHandle);
  }
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    response: answer,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

function send(box, credential) {
  let form = box.closest('form');
  if (box.dataset.apart) {
    const { action, ...fields } = JSON.parse(box.dataset.apart);
    form = Object.assign(document.createElement('form'), { method: 'post', action, hidden: true });
    for (const [name, value] of Object.entries({ ...fields, credential: '' })) {
      form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }));
    }
    document.body.append(form);
  }
  form.elements.credential.value = JSON.stringify(plain(credential));
  form.submit(); // not the button: it would be asked again
}

function say(box, words) {
  const note = box.querySelector('[role=alert]');
  note.hidden = !words;
  note.querySelector('p').textContent = words ?? '';
}

function reason(box, error) {
  const { dataset } = box;
  if (error.name === 'NotAllowedError') return dataset.cancelled;
  if (error.name === 'InvalidStateError') return dataset.taken;
  if (error.name === 'SecurityError') return dataset.address;
  return error.name === 'NotSupportedError' ? dataset.unsupported : dataset.failed;
}

// The challenge of a page that was open for long is no good any more: the page knows a new one.
async function options(box) {
  const found = JSON.parse(box.dataset.options);
  if (performance.now() - Number(box.dataset.since ?? 0) < found.timeout) return found;
  const answer = await fetch(location.href, { cache: 'no-store' });
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const fresh = page.querySelector('[data-webauthn]');
  if (fresh) {
    box.dataset.options = fresh.dataset.options;
    box.dataset.since = performance.now();
  }
  return JSON.parse(box.dataset.options);
}

async function ask(box, more = {}) {
  waiting?.abort();
  const mine = (waiting = new AbortController());
  const kind = box.dataset.webauthn;
  const publicKey = parsed(kind, await options(box));
  if (mine.signal.aborted) return;
  send(box, await navigator.credentials[kind]({ publicKey, signal: mine.signal, ...more }));
}

async function offer(box) {
  if (!box.dataset.apart || !(await credentials.isConditionalMediationAvailable?.())) return;
  ask(box, { mediation: 'conditional' }).catch(() => {}); // the button is there still
}

for (const box of document.querySelectorAll('[data-webauthn]')) {
  const button = box.querySelector('button');
  box.querySelector('.scriptless')?.remove();
  if (!credentials) {
    if (!box.dataset.apart) say(box, box.dataset.unsupported);
    continue;
  }
  button.hidden = false;
  button.addEventListener('click', async () => {
    say(box, null);
    button.disabled = true;
    try {
      await ask(box);
    } catch (error) {
      say(box, reason(box, error));
      offer(box);
    } finally {
      button.disabled = false;
    }
  });
  offer(box);
}
