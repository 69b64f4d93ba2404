import { ActionIcon, Group, Menu, Text } from '@mantine/core';
import { modals } from '@mantine/modals';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  apiFetch,
  IconDots,
  Notice,
  notifyDone,
  notifyProblem,
  ProblemError,
  ProblemNotice,
  RelativeTime,
} from '../../../../web/design/index.ts';
import type { Comment, UpdateComment } from '../../api.ts';
import { keys } from '../data/queries.ts';
import { IconPaperclip, IconPencil, IconTrash } from '../items/icons.ts';
import { Markdown } from '../items/Markdown.tsx';
import { MarkdownEditor } from '../items/MarkdownEditor.tsx';
import { Initials } from '../items/marks.tsx';
import { longestComment } from './Comments.tsx';
import classes from './CommentView.module.css';

export function CommentView({ comment, itemKey, readOnly }: { comment: Comment; itemKey: string; readOnly: boolean }) {
  const queryClient = useQueryClient();
  const [editing, setEditing] = useState(false);
  const remove = useMutation({
    mutationFn: () => apiFetch<undefined>(`/api/comments/${comment.id}`, { method: 'DELETE' }),
    onSuccess: () => {
      notifyDone('Comment deleted');
      void queryClient.invalidateQueries({ queryKey: keys.item(itemKey) });
    },
    onError: notifyProblem,
  });
  const ask = () =>
    modals.openConfirmModal({
      title: <Text fw={600}>Delete this comment of {comment.author.name}</Text>,
      children:
        comment.attachments.length > 0
          ? 'It goes for everybody, with its files. There is no way back.'
          : 'It goes for everybody. There is no way back.',
      labels: { confirm: 'Delete comment', cancel: 'Cancel' },
      confirmProps: { color: 'red' },
      onConfirm: () => remove.mutate(),
    });
  return (
    <article className={classes.comment} aria-label={`Comment by ${comment.author.name}`}>
      <span aria-hidden="true">
        <Initials user={comment.author} size={26} />
      </span>
      <div className={classes.body}>
        <Group gap="xs" className={classes.top}>
          <Text fw={600} size="sm">
            {comment.author.name}
          </Text>
          <Text c="dimmed" size="sm">
            <RelativeTime value={comment.createdAt} />
            {comment.editedAt && (
              <>
                {' · edited '}
                <RelativeTime value={comment.editedAt} />
              </>
            )}
          </Text>
          {comment.canEdit && !readOnly && !editing && (
            <Menu position="bottom-end">
              <Menu.Target>
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  size="sm"
                  ml="auto"
                  aria-label={`Actions for the comment of ${comment.author.name}`}
                >
                  <IconDots size={16} />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item leftSection={<IconPencil size={16} />} onClick={() => setEditing(true)}>
                  Edit
                </Menu.Item>
                <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={ask}>
                  Delete
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          )}
        </Group>
        {editing ? (
          <EditComment comment={comment} itemKey={itemKey} onClose={() => setEditing(false)} />
        ) : (
          <Markdown text={comment.body} />
        )}
        {comment.attachments.length > 0 && (
          <ul className={classes.files}>
            {comment.attachments.map((attachment) => (
              <li key={attachment.id}>
                <a href={attachment.url}>
                  <IconPaperclip size={13} aria-hidden /> {attachment.name}
                </a>
              </li>
            ))}
          </ul>
        )}
      </div>
    </article>
  );
}

function EditComment({ comment, itemKey, onClose }: { comment: Comment; itemKey: string; onClose: () => void }) {
  const queryClient = useQueryClient();
  /** What was there when editing began; after a conflict, what was shown as the newer text. */
  const [base, setBase] = useState(comment);
  const [text, setText] = useState(comment.body);
  const save = useMutation({
    mutationFn: (body: UpdateComment) => apiFetch<Comment>(`/api/comments/${comment.id}`, { method: 'PATCH', body }),
    onSuccess: onClose,
    onSettled: () => queryClient.invalidateQueries({ queryKey: [...keys.item(itemKey), 'comments'] }),
  });
  const conflicted = save.error instanceof ProblemError && save.error.problem.code === 'DESK_COMMENT_CHANGED';
  const changed = comment.version > base.version;
  return (
    <MarkdownEditor
      label="Edit comment"
      value={text}
      onChange={setText}
      onSave={() => {
        // The newer text stands above the button: saving now is the choice to replace it.
        const version = changed && conflicted ? comment.version : base.version;
        if (changed && conflicted) setBase(comment);
        save.mutate({ version, body: text });
      }}
      onCancel={onClose}
      saveLabel={changed && conflicted ? 'Replace with mine' : 'Save comment'}
      saving={save.isPending}
      maxLength={longestComment}
      autoFocus
    >
      {changed && (
        <Notice
          tone="late"
          title="Somebody else changed this comment while you were writing. It says now:"
          role="status"
        >
          <Markdown text={comment.body} />
        </Notice>
      )}
      {!conflicted && <ProblemNotice error={save.error} />}
    </MarkdownEditor>
  );
}
