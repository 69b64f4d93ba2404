const list = document.querySelector('#notes');
const form = document.querySelector('#new');
const problem = document.querySelector('#problem');

async function showNotes() {
  const response = await fetch('/api/notes');
  if (response.status === 401) return location.assign('/-/sign-in?next=/');
  const { notes } = await response.json();
  list.replaceChildren(...notes.map(toItem));
}

function toItem(note) {
  const item = document.createElement('li');
  const facts = document.createElement('small');
  // textContent, never innerHTML: a note is what somebody typed.
  item.textContent = note.text;
  facts.textContent = `${note.author}, ${new Date(note.createdAt).toLocaleString()}`;
  item.append(facts);
  return item;
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const response = await fetch('/api/notes', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: form.elements.text.value }),
  });
  problem.textContent = response.ok ? '' : (await response.json()).title;
  if (response.ok) form.reset();
});

const events = new EventSource('/api/events');
for (const type of ['open', 'note.created', 'note.deleted']) events.addEventListener(type, showNotes);
