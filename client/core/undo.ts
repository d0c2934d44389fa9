export type Undo = () => void;

/** An undo that counts once, however often it is called. */
export function once(undo: Undo): Undo {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    undo();
  };
}

export function all(undos: readonly Undo[]): Undo {
  return once(() => {
    for (const undo of undos) undo();
  });
}
