/** One item with everything about it: on a page of its own, or in the panel beside board and list. */
import { useMediaQuery } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useRef } from 'react';
import {
  ButtonLink,
  EmptyState,
  ErrorState,
  LoadingState,
  Notice,
  notifyProblem,
  toProblem,
  useDocumentTitle,
} from '../../../../web/design/index.ts';
import type { Item } from '../../api.ts';
import type { ItemPatch } from '../data/conflict.ts';
import { itemQuery, projectQuery } from '../data/queries.ts';
import { useSaveItem } from '../data/saveItem.ts';
import { Activity } from './Activity.tsx';
import { Attachments } from './Attachments.tsx';
import { ConflictDialog } from './ConflictDialog.tsx';
import { FileDrop } from './FileDrop.tsx';
import { ItemDescription } from './ItemDescription.tsx';
import { ItemFields } from './ItemFields.tsx';
import { ItemHead } from './ItemHead.tsx';
import { ItemTitle } from './ItemTitle.tsx';
import classes from './ItemView.module.css';
import { useUploads } from './useUploads.ts';

export interface ItemViewProps {
  readonly itemKey: string;
  readonly mode: 'page' | 'panel';
  readonly onClose?: () => void;
}

export function ItemView({ itemKey, mode, onClose }: ItemViewProps) {
  const { data: item, error, refetch } = useQuery(itemQuery(itemKey));
  if (error && toProblem(error).status === 404) return <Gone itemKey={itemKey} onClose={onClose} />;
  if (item) return <LoadedItem item={item} mode={mode} onClose={onClose} />;
  return (
    <div className={classes.waiting}>
      {error ? (
        <ErrorState error={error} onRetry={() => void refetch()} />
      ) : (
        <LoadingState rows={8} label={`Loading ${itemKey}`} />
      )}
    </div>
  );
}

/** Saves fields; a refusal that is no conflict is told at once. `onSaved` when it lies on the server. */
export type SaveItem = (patch: ItemPatch, options?: { base?: Item; onSaved?: () => void }) => void;

function LoadedItem({
  item,
  mode,
  onClose,
}: {
  item: Item;
  mode: 'page' | 'panel';
  onClose: (() => void) | undefined;
}) {
  const project = useQuery(projectQuery(item.projectKey)).data;
  const saving = useSaveItem();
  const uploads = useUploads(item.key);
  // Of the save that ran into a conflict: its editor closes when the person has chosen.
  const onSaved = useRef<(() => void) | undefined>(undefined);
  useDocumentTitle(`${item.key} ${item.title}`);
  const readOnly = project?.archived ?? false;
  const roomy = useMediaQuery('(min-width: 62em)', true, { getInitialValueInEffect: false });
  const beside = mode === 'page' && roomy;
  const save: SaveItem = (patch, options = {}) => {
    onSaved.current = options.onSaved;
    saving.mutate(
      { base: options.base ?? item, patch },
      {
        onSuccess: () => options.onSaved?.(),
        onError: (error) => {
          if (error.name !== 'ConflictError') notifyProblem(error);
        },
      },
    );
  };
  const fields = <ItemFields item={item} save={save} readOnly={readOnly} layout={beside ? 'side' : 'grid'} />;
  return (
    <FileDrop onFiles={uploads.add} disabled={readOnly} label={`Drop files to attach them to ${item.key}`}>
      <div className={classes.item} data-mode={mode}>
        <ItemHead item={item} mode={mode} projectName={project?.name} onClose={onClose} />
        <div className={classes.columns}>
          <div className={classes.main}>
            {readOnly && (
              <Notice tone="quiet" title="The project is archived">
                Its items can be read, not changed.
              </Notice>
            )}
            <ItemTitle item={item} save={save} readOnly={readOnly} mode={mode} />
            {!beside && fields}
            <ItemDescription item={item} save={save} saving={saving.isPending} readOnly={readOnly} />
            <Attachments item={item} uploads={uploads} readOnly={readOnly} />
            <Activity item={item} readOnly={readOnly} />
          </div>
          {beside && (
            <aside className={classes.side} aria-label="Fields">
              {fields}
            </aside>
          )}
        </div>
      </div>
      <ConflictDialog
        conflict={saving.conflict}
        onClose={saving.clearConflict}
        onKeepMine={(conflict) => {
          saving.clearConflict();
          save(conflict.mine, { base: conflict.theirs, ...(onSaved.current ? { onSaved: onSaved.current } : {}) });
        }}
        onTakeTheirs={() => {
          saving.clearConflict();
          onSaved.current?.();
        }}
      />
    </FileDrop>
  );
}

function Gone({ itemKey, onClose }: { itemKey: string; onClose: (() => void) | undefined }) {
  useDocumentTitle(`${itemKey} not found`);
  const projectKey = itemKey.split('-')[0] ?? '';
  return (
    <div className={classes.waiting}>
      <EmptyState
        title={`There is no item ${itemKey}`}
        action={
          onClose ? undefined : (
            <ButtonLink to="/p/$key/board" params={{ key: projectKey }} variant="default">
              Go to the board of {projectKey}
            </ButtonLink>
          )
        }
      >
        It was deleted, or the link is not complete. Deleted items cannot be brought back here; an administrator can
        restore the whole database to an earlier moment.
      </EmptyState>
    </div>
  );
}
