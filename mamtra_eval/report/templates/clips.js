// The clips, read from the packed columns of the data (see _packing.py), when they are asked for.

// What a column says of a clip; columns with little to say are objects by its number.
const told = (column, index, nothing = null) => column?.[index] ?? nothing;

class Clip {
  constructor(index) {
    this.index = index;
    this.said = data.texts[data.clips.text[index]];
  }

  get system() { return data.systems[data.clips.system[this.index]].name; }
  get utterance() { return this.said.utterance; }
  get text() { return this.said.text ?? ""; }
  get prompt() { return this.said.prompt; }
  get truth() { return this.said.ground_truth; }
  get repeat() { return told(data.clips.repeat, this.index, 0); }
  get audio() { return told(data.clips.audio, this.index); }
  get duration() { return told(data.clips.duration_s, this.index); }
  get error() { return told(data.clips.error, this.index); }
  get failures() { return told(data.clips.failures, this.index, {}); }
  get flags() { return told(data.clips.flags, this.index, []); }
  get reasons() { return told(data.clips.reasons, this.index, {}); }
  get second() { return told(data.clips.second, this.index); }
  get agree() { return told(data.clips.agree, this.index); }
  get envelope() { return told(data.clips.envelope, this.index); }

  value(figure) { return told(data.clips.values[figure.name], this.index); }

  // [operation, reference word, heard word] of every step
  get alignment() {
    const short = told(data.clips.alignment, this.index);
    if (short === null) return null;
    const words = this.said.words ?? [];
    let place = 0;
    const next = () => words[place++] ?? "";
    return short.flatMap((step) => {
      if (Array.isArray(step)) return step.length === 1 ? [["insert", "", step[0]]] : [step];
      if (typeof step === "string") return [["substitute", next(), step]];
      return step === 0 ? [["delete", next(), ""]]
        : Array.from({ length: step }, next).map((word) => ["equal", word, word]);
    });
  }

  get transcript() {
    const text = told(data.clips.transcript, this.index);
    if (text !== true) return text;
    return this.alignment.map(([, , heard]) => heard).filter(Boolean).join(" ");
  }
}

const clips = Array.from({ length: data.clips.n }, (_, index) => new Clip(index));
