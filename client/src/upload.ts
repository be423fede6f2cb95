// fetch() does not tell how much of a body has been sent: XMLHttpRequest does, and where there is none, how much it was.
// Loaded when somebody asks for it.

type Progress = (progress: { loaded: number; total: number }) => void;

export async function upload(url: string, request: RequestInit, onProgress: Progress, fetch = globalThis.fetch): Promise<Response> {
  const { method, headers, body, signal, credentials } = request;
  if (!globalThis.XMLHttpRequest) {
    const answer = await fetch(url, request);
    if (!(body instanceof ReadableStream) && !(body as any)?.[Symbol.asyncIterator]) {
      const { size } = await new Response(body).blob();
      onProgress({ loaded: size, total: size });
    }
    return answer;
  }
  return new Promise((done, fail) => {
    signal!.throwIfAborted();
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    const end = () => {
      signal!.removeEventListener('abort', abort);
      if (!xhr.status) return fail(new TypeError('The upload has failed.'));
      const answered = new Headers();
      for (const [, name, value] of xhr.getAllResponseHeaders().matchAll(/^(.*?): (.*)$/gm)) answered.append(name!, value!.trim());
      const answer = new Response(xhr.response, { status: xhr.status, headers: answered });
      done(Object.defineProperty(answer, 'url', { value: xhr.responseURL }));
    };
    xhr.open(method!, url);
    xhr.withCredentials = credentials === 'include';
    for (const [name, value] of Object.entries(headers!)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded, total }) => onProgress({ loaded, total });
    xhr.onloadend = end;
    signal!.addEventListener('abort', abort);
    xhr.send(body as XMLHttpRequestBodyInit);
  });
}
