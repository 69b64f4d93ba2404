import { ActionIcon, Menu, Tooltip } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { apiFetch, ConfirmByName, CopyableId, IconDots, IconX, notifyDone } from '../../../../web/design/index.ts';
import type { Item } from '../../api.ts';
import { dropItem } from '../data/cache.ts';
import { keys, meQuery } from '../data/queries.ts';
import { IconArrowsMaximize, IconLink, IconTrash } from '../items/icons.ts';
import classes from './ItemHead.module.css';

export interface ItemHeadProps {
  readonly item: Item;
  readonly mode: 'page' | 'panel';
  readonly projectName: string | undefined;
  readonly onClose: (() => void) | undefined;
}

/** Where the item belongs, its key, and what can be done with it as a whole. */
export function ItemHead({ item, mode, projectName, onClose }: ItemHeadProps) {
  const me = useQuery(meQuery).data;
  const clipboard = useClipboard();
  const [deleting, setDeleting] = useState(false);
  const copyLink = () => {
    clipboard.copy(`${window.location.origin}/i/${item.key}`);
    notifyDone(`Link to ${item.key} copied`);
  };
  return (
    <div className={classes.head} data-mode={mode}>
      {mode === 'page' && (
        <Link to="/p/$key/board" params={{ key: item.projectKey }} className={classes.project}>
          {projectName ?? item.projectKey}
        </Link>
      )}
      <CopyableId value={item.key} what="key" />
      <span className={classes.actions}>
        {mode === 'panel' && (
          <Tooltip label="Open as a page">
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label="Open as a page"
              renderRoot={(props) => <Link to="/i/$key" params={{ key: item.key }} {...props} />}
            >
              <IconArrowsMaximize size={16} />
            </ActionIcon>
          </Tooltip>
        )}
        <Tooltip label="Copy link">
          <ActionIcon variant="subtle" color="gray" aria-label={`Copy link to ${item.key}`} onClick={copyLink}>
            <IconLink size={16} />
          </ActionIcon>
        </Tooltip>
        {me?.can.deleteItems && (
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon variant="subtle" color="gray" aria-label="More actions">
                <IconDots size={16} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={() => setDeleting(true)}>
                Delete item
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        )}
        {onClose && (
          <Tooltip label="Close (Esc)">
            <ActionIcon variant="subtle" color="gray" aria-label="Close the item" onClick={onClose}>
              <IconX size={18} />
            </ActionIcon>
          </Tooltip>
        )}
      </span>
      <DeleteItem item={item} opened={deleting} onClose={() => setDeleting(false)} onDeleted={onClose} />
    </div>
  );
}

function DeleteItem(props: { item: Item; opened: boolean; onClose: () => void; onDeleted: (() => void) | undefined }) {
  const { item } = props;
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: () => apiFetch<undefined>(`/api/items/${item.key}`, { method: 'DELETE' }),
    onSuccess: () => {
      props.onClose();
      dropItem(queryClient, item.id);
      void queryClient.invalidateQueries({ queryKey: keys.boards });
      void queryClient.invalidateQueries({ queryKey: keys.lists });
      void queryClient.invalidateQueries({ queryKey: keys.summary });
      notifyDone(`${item.key} deleted`);
      if (props.onDeleted) props.onDeleted();
      else void navigate({ to: '/p/$key/board', params: { key: item.projectKey } });
    },
  });
  return (
    <ConfirmByName
      opened={props.opened}
      onClose={props.onClose}
      title={`Delete ${item.key}`}
      name={item.key}
      confirmLabel="Delete item"
      onConfirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
    >
      “{item.title}” goes for everybody, with its comments ({item.commentCount}), attachments ({item.attachmentCount})
      and history. There is no way back here. To file it away instead, set its state to Closed.
    </ConfirmByName>
  );
}
