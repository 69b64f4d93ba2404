import { Button, Stack, Text } from '@mantine/core';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';
import { apiFetch, ErrorState, LoadingState, ProblemNotice } from '../../../../web/design/index.ts';
import type { Comment, CreateComment, Item } from '../../api.ts';
import { commentsQuery, keys } from '../data/queries.ts';
import { MarkdownEditor } from '../items/MarkdownEditor.tsx';
import { useDraft } from '../items/useDraft.ts';
import { announce } from '../shell/announce.tsx';
import { useShortcuts } from '../shell/shortcuts.ts';
import { CommentView } from './CommentView.tsx';

export const longestComment = 50_000;

export function Comments({ item, readOnly }: { item: Item; readOnly: boolean }) {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(
    commentsQuery(item.key),
  );
  const comments = data?.pages.flatMap((page) => page.comments);
  if (error && !comments) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!comments) return <LoadingState rows={3} label="Loading comments" />;
  return (
    <Stack gap="md">
      {comments.length === 0 && <Text c="dimmed">{readOnly ? 'No comments' : 'No comments yet'}</Text>}
      {comments.map((comment) => (
        <CommentView key={comment.id} comment={comment} itemKey={item.key} readOnly={readOnly} />
      ))}
      {hasNextPage && (
        <Button variant="default" size="xs" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Show later comments
        </Button>
      )}
      {!readOnly && <NewComment item={item} />}
    </Stack>
  );
}

function NewComment({ item }: { item: Item }) {
  const queryClient = useQueryClient();
  const [draft, setDraft] = useDraft(`comment:${item.id}`);
  const box = useRef<HTMLDivElement>(null);
  useShortcuts({ m: () => box.current?.querySelector('textarea')?.focus() });
  const create = useMutation({
    mutationFn: (body: CreateComment) => apiFetch<Comment>(`/api/items/${item.key}/comments`, { method: 'POST', body }),
    onSuccess: () => {
      setDraft(undefined);
      announce('Comment added');
      // Once, and everything: the item's own count changes too.
      void queryClient.invalidateQueries({ queryKey: keys.item(item.key) });
    },
  });
  return (
    <div ref={box}>
      <MarkdownEditor
        label={`New comment on ${item.key}`}
        placeholder="Write a comment in Markdown"
        value={draft ?? ''}
        onChange={(text) => setDraft(text === '' ? undefined : text)}
        onSave={() => create.mutate({ body: draft ?? '' })}
        saveLabel="Comment"
        saving={create.isPending}
        maxLength={longestComment}
        minRows={2}
      />
      <ProblemNotice error={create.error} />
    </div>
  );
}
