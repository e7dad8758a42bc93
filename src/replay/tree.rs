//! A *tree* is a Huffman code built as zlib and gzip build it: a binary heap, ties by depth, overlong codes shortened afterwards.
//!
//! Which of several optimal codes comes out, and how a code beyond its longest allowed length is mended, is part of an encoder's
//! identity. Section "Trees" of `spec/replay.md`.

/// What kind of code is built.
pub struct Kind {
    /// Extra bits after symbols from `base` on.
    pub extra: &'static [u8],
    /// First symbol with extra bits.
    pub base: usize,
    /// Longest code allowed.
    pub longest: usize,
    /// Lengths of the fixed code, to learn what the block would cost with it.
    pub fixed: Option<&'static [u8]>,
}

/// Most symbols of any of the three codes, leaves and inner nodes.
const NODES: usize = 2 * 286 + 1;

/// A built code.
pub struct Code {
    /// Bits of each symbol's code; 0: not used.
    pub bits: [u8; 288],
    /// The codes, reversed as they are written.
    pub codes: [u16; 288],
    /// Highest symbol in use; at least 1.
    pub last: usize,
    /// Bits of all symbols with this code, extra bits counted.
    pub cost: i64,
    /// Bits of all symbols with the fixed code.
    pub fixed_cost: i64,
}

/// Scratch space of [`build`], kept so that it is not made anew for every block.
pub struct Builder {
    heap: [u16; NODES],
    freq: [u32; NODES],
    depth: [u8; NODES],
    dad: [u16; NODES],
    bits: [u8; NODES],
}

impl Default for Builder {
    fn default() -> Self {
        Self { heap: [0; NODES], freq: [0; NODES], depth: [0; NODES], dad: [0; NODES], bits: [0; NODES] }
    }
}

impl Builder {
    /// The code for symbols that occur `freq` times. At least two symbols get one, as some inflaters want it.
    pub fn build(&mut self, freq: &[u32], kind: &Kind) -> Code {
        let mut code = Code { bits: [0; 288], codes: [0; 288], last: 0, cost: 0, fixed_cost: 0 };
        let symbols = freq.len();
        let mut len = 0; // heap[1..=len] is the heap
        self.freq[..symbols].copy_from_slice(freq);
        for (symbol, &n) in freq.iter().enumerate() {
            if n != 0 {
                len += 1;
                self.heap[len] = symbol as u16;
                self.depth[symbol] = 0;
                code.last = symbol;
            }
        }
        let mut top = if len == 0 { -1 } else { code.last as i32 };
        while len < 2 {
            let node = if top < 2 {
                top += 1;
                top as usize
            } else {
                0
            };
            len += 1;
            self.heap[len] = node as u16;
            self.freq[node] = 1;
            self.depth[node] = 0;
            // Counted back when the lengths are made: a forced symbol costs nothing.
            code.cost -= 1;
            code.fixed_cost -= kind.fixed.map_or(0, |f| i64::from(f[node]));
        }
        code.last = top as usize;
        for n in (1..=len / 2).rev() {
            self.sink(n, len);
        }
        let first = self.join(symbols, len);
        self.lengths(first, kind, &mut code);
        super::codes::canonical(&code.bits[..symbols], &mut code.codes[..symbols]);
        code
    }

    fn less(&self, a: u16, b: u16) -> bool {
        let (a, b) = (a as usize, b as usize);
        self.freq[a] < self.freq[b] || (self.freq[a] == self.freq[b] && self.depth[a] <= self.depth[b])
    }

    fn sink(&mut self, mut at: usize, len: usize) {
        let value = self.heap[at];
        let mut child = at * 2;
        while child <= len {
            if child < len && self.less(self.heap[child + 1], self.heap[child]) {
                child += 1;
            }
            if self.less(value, self.heap[child]) {
                break;
            }
            self.heap[at] = self.heap[child];
            at = child;
            child *= 2;
        }
        self.heap[at] = value;
    }

    /// Joins the two rarest nodes until one is left. The end of the heap array then lists all nodes, the root first; its index.
    fn join(&mut self, symbols: usize, mut len: usize) -> usize {
        let (mut node, mut max) = (symbols, NODES);
        loop {
            let n = self.heap[1];
            self.heap[1] = self.heap[len];
            len -= 1;
            self.sink(1, len);
            let m = self.heap[1];
            max -= 2;
            self.heap[max + 1] = n;
            self.heap[max] = m;
            let (n, m) = (n as usize, m as usize);
            self.freq[node] = self.freq[n] + self.freq[m];
            self.depth[node] = self.depth[n].max(self.depth[m]) + 1;
            self.dad[n] = node as u16;
            self.dad[m] = node as u16;
            self.heap[1] = node as u16;
            node += 1;
            self.sink(1, len);
            if len < 2 {
                break;
            }
        }
        max -= 1;
        self.heap[max] = self.heap[1];
        max
    }

    fn lengths(&mut self, first: usize, kind: &Kind, code: &mut Code) {
        let longest = kind.longest;
        let mut count = [0u32; 16];
        let mut over = 0i32;
        self.bits[self.heap[first] as usize] = 0;
        for h in first + 1..NODES {
            let n = self.heap[h] as usize;
            let mut bits = self.bits[self.dad[n] as usize] as usize + 1;
            if bits > longest {
                bits = longest;
                over += 1;
            }
            self.bits[n] = bits as u8;
            if n > code.last {
                continue;
            }
            count[bits] += 1;
            let extra = if n >= kind.base { i64::from(kind.extra[n - kind.base]) } else { 0 };
            let freq = i64::from(self.freq[n]);
            code.cost += freq * (bits as i64 + extra);
            code.bits[n] = bits as u8;
            code.fixed_cost += kind.fixed.map_or(0, |f| freq * (i64::from(f[n]) + extra));
        }
        if over == 0 {
            return;
        }
        while over > 0 {
            let mut bits = longest - 1;
            while count[bits] == 0 {
                bits -= 1;
            }
            count[bits] -= 1;
            count[bits + 1] += 2;
            count[longest] -= 1;
            over -= 2;
        }
        let mut h = NODES;
        for bits in (1..=longest).rev() {
            let mut n = count[bits];
            while n != 0 {
                h -= 1;
                let m = self.heap[h] as usize;
                if m > code.last {
                    continue;
                }
                code.cost += (bits as i64 - i64::from(code.bits[m])) * i64::from(self.freq[m]);
                code.bits[m] = bits as u8;
                n -= 1;
            }
        }
    }
}
