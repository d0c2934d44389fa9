import type { Kind } from './kind';
import type { Incoming, Sequenced } from './ordering';
import type { ListenOptions, Services, Snapshot } from './topic';
import { initialSnapshot, Topic } from './topic';
import type { Undo } from './undo';
import { all } from './undo';

/** All topics of one kind that somebody listens to. */
export class Topics<State, Page extends Sequenced, Event extends Incoming> {
  private readonly open = new Map<string, Topic<State, Page, Event>>();
  private readonly initial: Snapshot<State>;

  constructor(
    private readonly kind: Kind<State, Page, Event>,
    private readonly services: Services,
  ) {
    this.initial = initialSnapshot(kind.initial);
  }

  /** Returns its own undo; the topic is forgotten with its last listener. */
  subscribe(id: string, listener: () => void, options: ListenOptions = {}): Undo {
    const topic = this.open.get(id) ?? new Topic(this.kind, id, this.services);
    this.open.set(id, topic);
    const forget = () => topic.idle && this.open.delete(id);
    return all([topic.listen(listener, options), forget]);
  }

  snapshot(id: string): Snapshot<State> {
    return this.open.get(id)?.snapshot ?? this.initial;
  }

  find(id: string): Topic<State, Page, Event> | undefined {
    return this.open.get(id);
  }
}
