//! What a component takes of the pool of instances, counted in its bytes, before anything is compiled: so that one that doesn't fit
//! is told in what.
//!
//! The limits themselves are `engine`'s. Nothing is run here.

use wasmparser::{Encoding, Parser, Payload};

use super::component::Fault;
use super::engine;

/// Bytes in a page of linear memory.
const PAGE: u64 = 64 << 10;

/// What a component needs, and with it every step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Core instances.
    pub core_instances: u64,
    /// Linear memories.
    pub memories: u64,
    /// Bytes of linear memory at the start, over all memories.
    pub memory_bytes: u64,
    /// Tables, over all core instances.
    pub tables: u64,
    /// Tables of the core module that has most.
    pub tables_in_module: u64,
    /// Elements of the biggest table, at the start.
    pub table_elements: u64,
}

/// The engine's limits, in the same form.
pub fn limits() -> Resources {
    engine::limits()
}

/// What one core module defines.
#[derive(Clone, Copy, Default)]
struct Module {
    memories: u64,
    memory_bytes: u64,
    tables: u64,
    elements: u64,
}

/// One open component or module while its bytes are read.
enum Open {
    /// A component, with the core modules that it has so far; none where it takes one from outside.
    Component(Vec<Option<Module>>),
    /// A core module.
    Module(Module),
}

impl Resources {
    /// Counts. What can't be read counts as nothing: whether a component is valid is found out elsewhere.
    pub fn of(bytes: &[u8]) -> Self {
        let mut resources = Self::default();
        let mut open: Vec<Open> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            let Ok(payload) = payload else { break };
            match payload {
                Payload::Version { encoding: Encoding::Component, .. } => open.push(Open::Component(Vec::new())),
                Payload::Version { encoding: Encoding::Module, .. } => open.push(Open::Module(Module::default())),
                Payload::End(_) => {
                    if let (Some(Open::Module(module)), Some(Open::Component(modules))) = (open.pop(), open.last_mut())
                    {
                        modules.push(Some(module));
                    }
                }
                Payload::MemorySection(section) => {
                    if let Some(Open::Module(module)) = open.last_mut() {
                        for memory in section.into_iter().flatten() {
                            module.memories += 1;
                            module.memory_bytes =
                                module.memory_bytes.saturating_add(memory.initial.saturating_mul(PAGE));
                        }
                    }
                }
                Payload::TableSection(section) => {
                    if let Some(Open::Module(module)) = open.last_mut() {
                        for table in section.into_iter().flatten() {
                            module.tables += 1;
                            module.elements = module.elements.max(table.ty.initial);
                        }
                    }
                }
                Payload::InstanceSection(section) => {
                    if let Some(Open::Component(modules)) = open.last() {
                        for instance in section.into_iter().flatten() {
                            if let wasmparser::Instance::Instantiate { module_index, .. } = instance {
                                let module = modules.get(module_index as usize).copied().flatten();
                                resources.add(module.unwrap_or_default());
                            }
                        }
                    }
                }
                Payload::ComponentAliasSection(section) => {
                    // A module from outside takes a number too.
                    if let Some(Open::Component(modules)) = open.last_mut() {
                        for alias in section.into_iter().flatten() {
                            if is_module(&alias) {
                                modules.push(None);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        resources
    }

    fn add(&mut self, module: Module) {
        self.core_instances += 1;
        self.memories += module.memories;
        self.memory_bytes = self.memory_bytes.saturating_add(module.memory_bytes);
        self.tables += module.tables;
        self.tables_in_module = self.tables_in_module.max(module.tables);
        self.table_elements = self.table_elements.max(module.elements);
    }

    /// Names, needs and limits, for people.
    pub fn rows(&self) -> [(&'static str, u64, u64); 6] {
        let limits = limits();
        [
            ("core instances", self.core_instances, limits.core_instances),
            ("memories", self.memories, limits.memories),
            ("bytes of memory at the start", self.memory_bytes, limits.memory_bytes),
            ("tables", self.tables, limits.tables),
            ("tables in one module", self.tables_in_module, limits.tables_in_module),
            ("elements of one table", self.table_elements, limits.table_elements),
        ]
    }

    /// What doesn't fit into the pool.
    pub fn faults(&self) -> Vec<Fault> {
        let over = self.rows().into_iter().filter(|(_, needs, limit)| needs > limit);
        over.map(|(name, needs, limit)| {
            Fault::new(
                format!("it needs {needs} {name}, and a flow may have {limit}"),
                "leave out libraries that it doesn't need, or let the toolchain link it into fewer modules",
            )
        })
        .collect()
    }
}

/// Whether an alias is of a core module.
fn is_module(alias: &wasmparser::ComponentAlias<'_>) -> bool {
    use wasmparser::{ComponentAlias as A, ComponentExternalKind, ComponentOuterAliasKind};
    matches!(
        alias,
        A::InstanceExport { kind: ComponentExternalKind::Module, .. }
            | A::Outer { kind: ComponentOuterAliasKind::CoreModule, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(component: &str) -> Resources {
        Resources::of(&wat::parse_str(component).unwrap())
    }

    #[test]
    fn each_instantiation_counts() {
        let module = "(core module $m (memory 2) (memory 1) (table 10 funcref) (table 7 funcref))";
        let found =
            of(&format!("(component {module} (core instance (instantiate $m)) (core instance (instantiate $m)))"));
        let expected = Resources {
            core_instances: 2,
            memories: 4,
            memory_bytes: 6 * 65536,
            tables: 4,
            tables_in_module: 2,
            table_elements: 10,
        };
        assert_eq!(found, expected);
        assert_eq!(found.faults(), []);
        // A module that nobody instantiates takes nothing; one in a nested component does.
        assert_eq!(of(&format!("(component {module})")), Resources::default());
        assert_eq!(of(&format!("(component (component {module} (core instance (instantiate $m))))")).core_instances, 1);
        assert_eq!(Resources::of(b"\0asm"), Resources::default());
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let faults =
            of("(component (core module $m (memory 5000) (table 60000 funcref)) (core instance (instantiate $m)))")
                .faults();
        let faults: Vec<String> = faults.iter().map(|fault| fault.problem.clone()).collect();
        assert_eq!(
            faults,
            [
                "it needs 327680000 bytes of memory at the start, and a flow may have 268435456",
                "it needs 60000 elements of one table, and a flow may have 50000",
            ]
        );
    }
}
