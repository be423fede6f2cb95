// What all pages share.

/// Whether this nginx has the location: the pages are the same in every recipe. If not, says which configuration has it, or
/// where to sign in.
export async function available(location, configuration, headers = {}, session = null) {
  const answer = await fetch(location, { method: 'OPTIONS', headers }).catch(() => null);
  if (answer?.status === 204) return true;
  const notice = document.getElementById('notice');
  if (answer?.status === 401 && session) {
    notice.append(Object.assign(document.createElement('a'), { href: session, textContent: 'Sign in' }), ' to see your own.');
    notice.hidden = false;
    return false;
  }
  notice.textContent = answer
    ? `This example is not configured here. Start it with: make run CONF=${configuration}`
    : 'The server cannot be reached. Reload the page to try again.';
  notice.hidden = false;
  return false;
}

/// Tells it to screen readers, one thing at a time.
export function announce(text) { document.getElementById('said').textContent = text; }
