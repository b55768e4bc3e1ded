//! Settings made ready to run.

use std::borrow::Cow;

use otlp::edit::{EditError, Inputs, Program, Rule, Selection, Target};
use otlp::{Batch, Depth, Signal};

use super::action::{self, ActionSettings, RequestKey};
use super::select::{Select, SelectSettings, Selected};
use crate::{DropReason, Operator, Output, SettingError, StepContext};

/// The Collector's `attributes` processor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributesSettings {
    /// Which records are changed.
    pub select: SelectSettings,
    /// What is done to the attributes of spans, log records and data points, in this order.
    pub actions: Vec<ActionSettings>,
}

/// The Collector's `resource` processor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceSettings {
    /// What is done to the attributes of resources, in this order. (The Collector calls this key `attributes`.)
    pub attributes: Vec<ActionSettings>,
}

/// Changes to attributes, as an operator.
///
/// ```
/// use aldis_operators::edit::{ActionSettings, AttributesSettings, EditPlan, ResourceSettings};
/// use otlp::Signal;
///
/// let action = |action: &str, key: &str| ActionSettings {
///     action: action.into(),
///     key: Some(key.into()),
///     ..ActionSettings::default()
/// };
/// let attributes = AttributesSettings { actions: vec![action("delete", "user.email")], ..Default::default() };
/// let resource = ResourceSettings { attributes: vec![action("hash", "host.name")] };
///
/// let first = EditPlan::attributes(Signal::Traces, &attributes).unwrap();
/// let second = EditPlan::resource(&resource).unwrap();
/// let both = first.fuse(second).expect("the second does not look at what the first changes");
/// # let _ = both;
///
/// let errors = EditPlan::resource(&ResourceSettings { attributes: vec![action("insert", "a")] }).unwrap_err();
/// assert_eq!(errors[0].path, "attributes[0]");
/// ```
#[derive(Debug)]
pub struct EditPlan {
    rules: Vec<Rule>,
    program: Program,
    /// What [`otlp::edit::Source::Context`] names.
    context: Vec<RequestKey>,
    /// What [`Rule::only`] names.
    selects: Vec<Select>,
    /// Kept from batch to batch for its memory.
    selected: Selected,
}

impl EditPlan {
    /// Checks an `attributes` processor for records of one signal.
    ///
    /// # Errors
    /// All that is wrong with the settings.
    pub fn attributes(signal: Signal, settings: &AttributesSettings) -> Result<Self, Vec<SettingError>> {
        let select = Select::new(&settings.select, signal);
        let plan = Self::of(Target::Record, "actions", &settings.actions);
        match (select, plan) {
            (Ok(None), plan) => plan,
            (Ok(Some(select)), Ok(plan)) => {
                let rules = plan.rules.into_iter().map(|rule| rule.only(0)).collect();
                Ok(Self::new(rules, plan.context, vec![select]))
            }
            (Ok(Some(_)), Err(errors)) | (Err(errors), Ok(_)) => Err(errors),
            (Err(errors), Err(more)) => Err(errors.into_iter().chain(more).collect()),
        }
    }

    /// Checks a `resource` processor.
    ///
    /// # Errors
    /// All that is wrong with the settings.
    pub fn resource(settings: &ResourceSettings) -> Result<Self, Vec<SettingError>> {
        Self::of(Target::Resource, "attributes", &settings.attributes)
    }

    fn of(target: Target, path: &str, actions: &[ActionSettings]) -> Result<Self, Vec<SettingError>> {
        let (mut rules, mut context, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (i, action) in actions.iter().enumerate() {
            match action::rules(action, &format!("{path}[{i}]"), &mut context) {
                Ok(actions) => rules.extend(actions.into_iter().map(|action| Rule::new(target, action))),
                Err(faults) => errors.extend(faults),
            }
        }
        if actions.is_empty() {
            errors.push(SettingError::new(path, "there is nothing to do: list at least one action"));
        }
        if errors.is_empty() { Ok(Self::new(rules, context, Vec::new())) } else { Err(errors) }
    }

    fn new(rules: Vec<Rule>, context: Vec<RequestKey>, selects: Vec<Select>) -> Self {
        let program = Program::new(rules.clone());
        Self { rules, program, context, selects, selected: Selected::default() }
    }

    /// One plan that does what `self` and then `next` do, in one copy.
    ///
    /// # Errors
    /// Both plans, where they must stay two: `next` chooses its records by attributes that `self` may change, and a fused
    /// plan chooses before it changes anything.
    pub fn fuse(self, next: Self) -> Result<Self, Box<(Self, Self)>> {
        let changed = |target| self.rules.iter().any(|rule| rule.target == target);
        if next.selects.iter().any(|select| {
            (changed(Target::Record) && select.reads_record_attributes())
                || (changed(Target::Resource) && select.reads_resource_attributes())
        }) {
            return Err(Box::new((self, next)));
        }
        let (contexts, selects) = (self.context.len(), self.selects.len());
        let renumbered = next.rules.into_iter().map(|rule| Rule {
            action: action::with_context_from(rule.action, contexts),
            only: rule.only.map(|selection| selection + selects),
            ..rule
        });
        let rules = self.rules.into_iter().chain(renumbered).collect();
        let context = self.context.into_iter().chain(next.context).collect();
        let selects = self.selects.into_iter().chain(next.selects).collect();
        Ok(Self::new(rules, context, selects))
    }

    /// Applies the program to a batch.
    fn apply(&self, batch: &Batch, inputs: Inputs<'_>, out: &mut Output) {
        match self.program.apply(batch, inputs) {
            Ok(edited) => out.emit(edited),
            Err(EditError::TooLarge) => out.dropped(DropReason::TooLarge, batch.len() as u64),
            // Going on unedited could let out what was to be deleted.
            Err(_) => out.dropped(DropReason::NotChecked, batch.len() as u64),
        }
    }
}

impl Operator for EditPlan {
    fn needs(&self) -> Depth {
        let selects = self.selects.iter().map(Select::needs).max().unwrap_or(Depth::Counts);
        selects.max(self.program.depth())
    }

    fn step(&mut self, batch: Batch, context: &StepContext<'_>, out: &mut Output) {
        let mut selections = Vec::with_capacity(self.selects.len());
        let mut any = self.rules.iter().any(|rule| rule.only.is_none());
        for select in &self.selects {
            self.selected.judge(select, &batch);
            let records = batch.index().records.at.len();
            selections.push(Selection::from_fn(records, |i| {
                let selected = self.selected.contains(i);
                any |= selected;
                selected
            }));
        }
        if !any {
            return out.emit(batch);
        }
        let found: Vec<_> = self.context.iter().map(|key| key.find(context)).collect();
        let context: Vec<_> = found.iter().map(Option::as_deref).collect();
        self.apply(&batch, Inputs { context: &context, selections: &selections }, out);
    }
}

impl RequestKey {
    /// What the request says of this; several values are joined by `;`.
    fn find<'a>(&self, context: &StepContext<'a>) -> Option<Cow<'a, str>> {
        let name = match self {
            RequestKey::Tenant => return context.tenant.map(Cow::Borrowed),
            RequestKey::Header(name) => name,
        };
        let mut values =
            context.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next()?;
        Some(values.fold(Cow::Borrowed(first), |all, value| Cow::Owned(format!("{all};{value}"))))
    }
}
