//! How segments of planes travel: as they are, or coded.
//!
//! [`Coding`] decides for each pair of ranks whether its messages may be coded. If so, the sender codes a segment that
//! becomes shorter. The receiver tells the form by the length: only fixed planes have the full length. Between other pairs, messages
//! always have the exact length.

use super::{Coding, Plan};
use crate::planes::words;
use crate::{Error, Result, Transport, coding, kernels};

/// A transport for segments of the planes of one all-reduce.
pub(super) struct Wire<'a> {
    pub transport: &'a mut dyn Transport,
    plan: Plan<'a>,
}

/// A segment in the form in which it can be sent on, besides its planes.
#[derive(Default)]
pub(super) struct Segment {
    /// A message of its planes, or of its code.
    message: Option<Vec<u64>>,
    /// Whether somebody has tried to code it, so that planes are known to be the shorter form.
    is_tried: bool,
}

impl Segment {
    /// A segment with the message of its planes.
    pub fn of(planes: Vec<u64>) -> Segment {
        Segment { message: Some(planes), is_tried: false }
    }
}

impl<'a> Wire<'a> {
    pub fn new(transport: &'a mut dyn Transport, plan: Plan<'a>) -> Wire<'a> {
        Wire { transport, plan }
    }

    /// Whether messages between this rank and `peer` may be coded.
    fn may_code(&self, peer: usize) -> bool {
        let topology = self.plan.topology;
        match self.plan.coding {
            Coding::Never => false,
            Coding::BetweenNodes => topology.node_of(self.transport.rank()) != topology.node_of(peer),
            Coding::Always => true,
        }
    }

    /// Sends `planes` of `width` to rank `to`.
    pub fn send(&mut self, to: usize, width: usize, planes: Vec<u64>) -> Result<()> {
        if self.may_code(to)
            && let Some(coded) = self.code(width, &planes)
        {
            self.transport.recycle(planes);
            return self.transport.send(to, coded);
        }
        self.transport.send(to, planes)
    }

    /// Sends a copy of `planes` of `width` to rank `to`.
    pub fn send_copy(&mut self, to: usize, width: usize, planes: &[u64]) -> Result<()> {
        let coded = if self.may_code(to) { self.code(width, planes) } else { None };
        let message = coded.unwrap_or_else(|| self.copy(planes));
        self.transport.send(to, message)
    }

    /// Receives `blocks` blocks of `width` from rank `from`, as planes.
    pub fn recv(&mut self, from: usize, width: usize, blocks: usize) -> Result<Vec<u64>> {
        let words = words(blocks, width);
        if !self.may_code(from) {
            return self.transport.recv(from, words);
        }
        let message = self.transport.recv_at_most(from, words)?;
        if message.len() == words {
            return Ok(message);
        }
        let mut planes = self.transport.buffer(words);
        self.decode(from, width, &message, &mut planes)?;
        self.transport.recycle(message);
        Ok(planes)
    }

    /// Receives planes of `width` from rank `from` into `place`.
    pub fn recv_into(&mut self, from: usize, width: usize, place: &mut [u64]) -> Result<()> {
        let segment = self.receive(from, width, place)?;
        self.discard(segment);
        Ok(())
    }

    /// Like [`recv_into`](Wire::recv_into), and keeps the message to send it on.
    pub fn receive(&mut self, from: usize, width: usize, place: &mut [u64]) -> Result<Segment> {
        let is_tried = self.may_code(from);
        let message = if is_tried {
            self.transport.recv_at_most(from, place.len())?
        } else {
            self.transport.recv(from, place.len())?
        };
        if message.len() == place.len() {
            place.copy_from_slice(&message);
        } else {
            self.decode(from, width, &message, place)?;
        }
        Ok(Segment { message: Some(message), is_tried })
    }

    /// Sends a copy of `segment`, whose planes are `planes` of `width`, to rank `to`.
    pub fn share(&mut self, to: usize, width: usize, planes: &[u64], segment: &mut Segment) -> Result<()> {
        self.prepare(to, width, planes, segment);
        let form = segment.message.as_deref().filter(|message| self.suits(to, message, planes));
        let message = self.copy(form.unwrap_or(planes));
        self.transport.send(to, message)
    }

    /// [`share`](Wire::share) for the last time.
    pub fn pass_on(&mut self, to: usize, width: usize, planes: &[u64], mut segment: Segment) -> Result<()> {
        self.prepare(to, width, planes, &mut segment);
        match segment.message {
            Some(message) if self.suits(to, &message, planes) => self.transport.send(to, message),
            _ => {
                self.discard(segment);
                let message = self.copy(planes);
                self.transport.send(to, message)
            }
        }
    }

    /// Returns the buffer of a segment that need not be sent on.
    pub fn discard(&mut self, segment: Segment) {
        if let Some(message) = segment.message {
            self.transport.recycle(message);
        }
    }

    /// Codes the segment if rank `to` may receive that, unless it has been tried.
    fn prepare(&mut self, to: usize, width: usize, planes: &[u64], segment: &mut Segment) {
        if segment.is_tried || !self.may_code(to) {
            return;
        }
        segment.is_tried = true;
        if let Some(coded) = self.code(width, planes)
            && let Some(planes) = segment.message.replace(coded)
        {
            self.transport.recycle(planes);
        }
    }

    /// Whether rank `to` may receive the segment as `message`.
    fn suits(&self, to: usize, message: &[u64], planes: &[u64]) -> bool {
        message.len() == planes.len() || self.may_code(to)
    }

    fn copy(&mut self, content: &[u64]) -> Vec<u64> {
        let mut message = self.transport.buffer(content.len());
        message.copy_from_slice(content);
        message
    }

    /// A message with the code of `planes`, if that is shorter.
    fn code(&mut self, width: usize, planes: &[u64]) -> Option<Vec<u64>> {
        let mut message = self.transport.buffer(planes.len());
        match coding::encode(kernels::best(), planes, width, &mut message) {
            Some(length) => {
                message.truncate(length);
                Some(message)
            }
            None => {
                self.transport.recycle(message);
                None
            }
        }
    }

    fn decode(&mut self, from: usize, width: usize, message: &[u64], planes: &mut [u64]) -> Result<()> {
        coding::decode(kernels::best(), message, width, planes).map_err(|damage| Error::Undecodable {
            rank: self.transport.rank(),
            peer: from,
            damage,
            context: self.transport.context().to_owned(),
        })
    }
}
