import { useQuery } from '@tanstack/react-query';
import { CopyableId } from '../design/index.ts';
import { sessionQuery } from './api.ts';

const wordsFor: Readonly<Record<string, string>> = { system: 'Freehold itself', anonymous: 'nobody signed in' };

/** Who acted: `you`, another staff member or user by id, `root at the command line`, or Freehold itself. */
export function Actor({ actor }: { actor: string }) {
  const me = useQuery(sessionQuery).data?.staff;
  const [kind = '', id] = actor.split(':', 2);
  if (kind === 'staff' && id !== undefined && id === me?.staffId) return <span title={id}>you</span>;
  if (kind === 'os') return <span>{id} at the command line</span>;
  if (id === undefined) return <span>{wordsFor[actor] ?? actor}</span>;
  return (
    <span>
      {kind} <CopyableId value={id} what={`${kind} id`} short />
    </span>
  );
}
