/** Whose dashboard this is. Without a key on the server, anybody may say to be anybody. */
export interface Identity {
  readonly user: string;
  readonly brand: string;
  readonly token: string | null;
}

/** From `?user=&brand=&token=`. */
export function readIdentity(search: string): Identity {
  const query = new URLSearchParams(search);
  return {
    user: query.get('user') ?? 'ana',
    brand: query.get('brand') ?? 'acme',
    token: query.get('token'),
  };
}
